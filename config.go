package tarragon

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/config"

	"github.com/rs/zerolog"
)

// Config says which instance a DB is. One of Dir, File and Resolved is required.
type Config struct {
	// Dir is where an instance on its own has its data; it is made where it is not there.
	// Nobody reaches it by a socket, unless Options say where it listens.
	Dir string
	// File is the YAML file of a cluster, and Instance the one of it that this is; with Dir
	// the name of the instance, i-001 by default.
	File, Instance string
	// Resolved is a configuration that the caller has read.
	Resolved *config.Instance

	// Options are further options by their paths, as in "memtx.memory": "1G", above those
	// of the file. They are not for Resolved.
	Options map[string]string
	// Log takes what the instance has to say; the zero value takes nothing.
	Log zerolog.Logger
	// Ready is called once, on a goroutine of the instance, when it has its data and serves
	// it; nil: nobody asks.
	Ready func()
	// Procedures are functions that clients may CALL, beside those that Register has added.
	Procedures []Procedure
	// ProceduresAtOnce is how many calls of them may run at the same time; 0: 1000.
	ProceduresAtOnce int
	// triggers by space; see BeforeReplace and OnReplace.
	triggers map[string]*box.Hooks
	// NoHandover has an instance that leads resign at Close, instead of moving leadership to
	// another member first.
	NoHandover bool
}

const loneName = "i-001"

// source is where the configuration is read from.
func (c *Config) source() (config.Source, error) {
	src := config.Source{File: c.File, Instance: c.Instance}
	for _, path := range slices.Sorted(maps.Keys(c.Options)) {
		src.Flags = append(src.Flags, config.Flag{Name: "option " + path, Path: path, Value: c.Options[path]})
	}
	if c.Dir == "" {
		return src, nil
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return src, err
	}
	if src.Instance == "" {
		src.Instance = loneName
	}
	for _, option := range [...][2]string{{"wal.dir", dir}, {"snapshot.dir", dir}, {"tarragon.control_socket", ""}, {"replication.failover", string(config.FailoverElection)}} {
		src.Defaults = append(src.Defaults, config.Flag{Name: "default", Path: option[0], Value: option[1]})
	}
	return src, nil
}

// resolve gives the configuration, and reads it anew later; again is nil where there is no
// file to read.
func (c *Config) resolve() (in *config.Instance, again func() (*config.Instance, error), err error) {
	given := 0
	for _, is := range [...]bool{c.Dir != "", c.File != "", c.Resolved != nil} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, nil, errors.New("tarragon: a Config has one of Dir, File and Resolved")
	case c.Resolved != nil && len(c.Options) > 0:
		return nil, nil, errors.New("tarragon: a Config with Resolved has no Options: they are in it")
	case c.Resolved != nil:
		return c.Resolved, nil, nil
	}
	src, err := c.source()
	if err != nil {
		return nil, nil, err
	}
	load := func() (*config.Instance, error) { return config.Load(src) }
	if in, err = load(); err != nil || c.Dir != "" {
		return in, nil, err
	}
	return in, load, nil
}
