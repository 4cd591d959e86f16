package iproto

import (
	"maps"
	"sync"
	"sync/atomic"

	"tarragon.dev/tarragon/xrow"
)

// settings is what a session has changed of _session_settings: raw values by name.
// Who reads it has the values of one moment; a change makes a new map.
type settings struct {
	mu      sync.Mutex // of who changes them
	changed atomic.Pointer[map[string][]byte]
}

// all are the values, nil if nothing was changed. The map must not be changed.
func (s *settings) all() map[string][]byte {
	if m := s.changed.Load(); m != nil {
		return *m
	}
	return nil
}

// isSetting tells whether a change is one of a setting of the session.
func isSetting(d *xrow.DML) bool {
	return d.SpaceID == xrow.SpaceSessionSettings && d.Type == xrow.Update
}

// updateSetting changes one, and returns the raw array for DATA.
func (c *Conn) updateSetting(d *xrow.DML) ([]byte, *xrow.Error) {
	s := &c.settings
	s.mu.Lock()
	defer s.mu.Unlock()
	next := map[string][]byte{}
	maps.Copy(next, s.all())
	data, err := c.srv.backend.UpdateSetting(c.User(), d, next)
	if err != nil {
		return nil, asError(err)
	}
	s.changed.Store(&next)
	return data, nil
}
