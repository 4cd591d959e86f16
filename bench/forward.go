package main

import (
	"errors"
	"io"
	"net"
)

// forwardCommand is the first argument of a run that does nothing but hand on the bytes of connections: the yardstick
// beside which a router is measured. What it costs is what this machine takes for one more process on the way.
const forwardCommand = "forward"

// forward accepts connections at one address and hands on what they carry to another one and back, until it is killed.
func forward(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: bench " + forwardCommand + " FROM TO")
	}
	ln, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	for {
		from, err := ln.Accept()
		if err != nil {
			return err
		}
		to, err := net.Dial("tcp", args[1])
		if err != nil {
			return err
		}
		go carry(from, to)
		go carry(to, from)
	}
}

// carry copies by hand: the bytes pass through the process, as they do in a router.
func carry(from, to net.Conn) {
	_, _ = io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, 64<<10)) // whichever has ended, so does the other one
	_ = from.Close()
	_ = to.Close()
}
