package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// restartCommand is the template of the command that restarts an instance, cut at the places
// where its name goes. nil: none was given.
type restartCommand []string

// parseRestart reads a template: %s is the name, %% a percent sign.
func parseRestart(template string) (restartCommand, error) {
	parts, literal := restartCommand{}, strings.Builder{}
	for i := 0; i < len(template); i++ {
		if template[i] != '%' {
			literal.WriteByte(template[i])
			continue
		}
		switch i++; {
		case i == len(template) || template[i] != 's' && template[i] != '%':
			return nil, fmt.Errorf("%q: behind %% comes s, for the name of the instance, or a second %% for a percent sign", template)
		case template[i] == '%':
			literal.WriteByte('%')
		default:
			parts = append(parts, literal.String())
			literal.Reset()
		}
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("%q would be the same for all: %%s stands for the name of the instance, as in 'systemctl restart tarragon@%%s'", template)
	}
	return append(parts, literal.String()), nil
}

// of is the command for an instance.
func (c restartCommand) of(name string) string { return strings.Join(c, name) }

// safeName tells whether the shell takes a name as it is, wherever it stands.
func safeName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.:@", r)
	})
}

// restartOutputWait is how long a command's output may stay open when it has ended: what it
// has started may keep it.
const restartOutputWait = time.Second

// runRestart runs a command to its end, for limit at most. It goes on where ctx ends: an
// instance that was stopped must be started again.
func runRestart(ctx context.Context, limit time.Duration, command string, output io.Writer) error {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), limit, fmt.Errorf("it did not end within %v", limit))
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.WaitDelay = restartOutputWait
	switch err := cmd.Run(); {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return err
	}
}
