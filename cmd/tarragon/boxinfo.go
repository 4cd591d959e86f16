package main

import (
	"github.com/google/uuid"
	"github.com/vmihailenco/msgpack/v5"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/router"
)

// boxInfo is what we read of box.info, of a Tarragon or a Tarantool. Every key
// may be missing, and what we do not know is passed over.
type boxInfo struct {
	ID          number           `msgpack:"id"`
	UUID        string           `msgpack:"uuid"`
	Name        string           `msgpack:"name"`
	Package     string           `msgpack:"package"`
	Version     string           `msgpack:"version"`
	Status      string           `msgpack:"status"`
	Signature   number           `msgpack:"signature"`
	VClock      table[number]    `msgpack:"vclock"`
	RO          bool             `msgpack:"ro"`
	ROReason    string           `msgpack:"ro_reason"`
	PID         number           `msgpack:"pid"`
	Uptime      number           `msgpack:"uptime"` // seconds
	Replicaset  boxSet           `msgpack:"replicaset"`
	Replication table[boxMember] `msgpack:"replication"` // by ID
	Election    boxElection      `msgpack:"election"`
	Synchro     boxSynchro       `msgpack:"synchro"`
	Own         tarragonInfo     `msgpack:"tarragon"`
}

type boxSet struct {
	UUID string `msgpack:"uuid"`
	Name string `msgpack:"name"`
}

// boxMember is a row of _cluster.
type boxMember struct {
	Name       string     `msgpack:"name"`
	Upstream   *boxStream `msgpack:"upstream"`
	Downstream *boxStream `msgpack:"downstream"`
}

type boxStream struct {
	Status  string  `msgpack:"status"`
	Peer    string  `msgpack:"peer"` // where it connects to
	Lag     float64 `msgpack:"lag"`  // seconds
	Idle    float64 `msgpack:"idle"` // seconds
	Message string  `msgpack:"message"`
	System  string  `msgpack:"system_message"`
}

type boxElection struct {
	State      string `msgpack:"state"`
	Term       number `msgpack:"term"`
	Leader     number `msgpack:"leader"`
	LeaderName string `msgpack:"leader_name"`
}

type boxSynchro struct {
	Quorum number   `msgpack:"quorum"`
	Queue  boxQueue `msgpack:"queue"`
}

type boxQueue struct {
	Owner number  `msgpack:"owner"`
	Len   number  `msgpack:"len"`
	Age   float64 `msgpack:"age"` // seconds
}

// tarragonInfo is what only an instance of ours tells.
type tarragonInfo struct {
	Program    boxProgram    `msgpack:"program"`
	LastError  string        `msgpack:"last_error"`
	Rules      string        `msgpack:"rules"`
	Feature    *boxFeature   `msgpack:"feature"`
	Filter     *boxFilter    `msgpack:"filter"`
	Copies     *boxGiven     `msgpack:"copies"`
	Replicas   []boxReplica  `msgpack:"replicas"`
	Pause      *boxPause     `msgpack:"pause"`
	Mandate    *boxMandate   `msgpack:"mandate"`
	Moving     *boxMoving    `msgpack:"moving"`
	Preferred  *boxPreferred `msgpack:"preferred"`
	Nodes      []nodeLine    `msgpack:"nodes"`
	Router     *router.Stats `msgpack:"router"`
	Forwards   *boxForwards  `msgpack:"forwards"`
	Kinds      table[string] `msgpack:"kinds"` // by ID
	SplitBrain []boxSplit    `msgpack:"split_brain"`
	NotServed  []string      `msgpack:"not_served"`
	Learners   []number      `msgpack:"learners"`
	Memory     *boxMemory    `msgpack:"memory"`
	Quorum     boxFormula    `msgpack:"quorum"`
}

type boxFeature struct {
	Level   number        `msgpack:"level"`
	Reads   number        `msgpack:"reads"`
	Members table[number] `msgpack:"members"` // by ID
}

type boxMoving struct {
	Name    string  `msgpack:"name"`
	For     float64 `msgpack:"seconds"`
	Written bool    `msgpack:"written"`
	Lacks   number  `msgpack:"lacks"` // rows
	By      string  `msgpack:"by"`
	Reason  string  `msgpack:"reason"`
}

type boxForwards struct {
	Open     number `msgpack:"open"`
	Answered number `msgpack:"answered"`
	Unknown  number `msgpack:"unknown"`
	Refused  number `msgpack:"refused"`
}

type boxPause struct {
	Left   float64 `msgpack:"left"` // seconds
	By     string  `msgpack:"by"`
	Reason string  `msgpack:"reason"`
}

type boxSplit struct {
	Peer    number `msgpack:"peer"`
	Message string `msgpack:"message"`
}

type boxMemory struct {
	Taken number `msgpack:"taken"`
	Limit number `msgpack:"limit"`
}

type boxFormula struct {
	Value string `msgpack:"value"`
	File  string `msgpack:"file"`
}

// number cannot be negative; what is, or is no number, counts as 0. It comes in
// any form that Lua gives to a number.
type number uint64

// DecodeMsgpack reads one.
func (n *number) DecodeMsgpack(d *msgpack.Decoder) error {
	raw, err := d.DecodeRaw()
	if err != nil {
		return err
	}
	*n = 0
	switch mp.KindOf(raw[0]) {
	case mp.Uint, mp.Int:
		if u, negative := mp.IntOf(raw); !negative {
			*n = number(u)
		}
	case mp.Float, mp.Double:
		*n = number(max(mp.FloatOf(raw), 0))
	}
	return nil
}

// uuidText is a UUID, which comes as one or as text.
type uuidText string

// DecodeMsgpack reads one; anything else is empty.
func (u *uuidText) DecodeMsgpack(d *msgpack.Decoder) error {
	raw, err := d.DecodeRaw()
	if err != nil {
		return err
	}
	*u = ""
	if s, _, ok := mp.ReadString(raw); ok {
		*u = uuidText(s)
	} else if t, payload, _, ok := mp.ReadExt(raw); ok && t == mp.ExtUUID {
		if id, err := uuid.FromBytes(payload); err == nil {
			*u = uuidText(id.String())
		}
	}
	return nil
}

// table is a map by numbers. A list may come where keys 1, 2, 3 were meant:
// Lua does not tell them apart.
type table[V any] map[uint64]V

// DecodeMsgpack reads one; anything else is an empty one.
func (t *table[V]) DecodeMsgpack(d *msgpack.Decoder) error {
	raw, err := d.DecodeRaw()
	if err != nil {
		return err
	}
	*t = table[V]{}
	switch mp.KindOf(raw[0]) {
	case mp.Array:
		n, at := mp.ArrayOf(raw)
		for i := range n {
			if at, err = t.read(raw, at, uint64(i+1)); err != nil {
				return err
			}
		}
	case mp.Map:
		at, inside := mp.Token(raw, 0)
		for range inside / 2 {
			var key number
			end := mp.Skip(raw, at)
			if err := mp.Decode(raw[at:end], &key); err != nil {
				return err
			}
			if at, err = t.read(raw, end, uint64(key)); err != nil {
				return err
			}
		}
	}
	return nil
}

// read takes the value at raw[at:], and returns where it ends; nil is a hole.
func (t *table[V]) read(raw []byte, at int, key uint64) (end int, err error) {
	end = mp.Skip(raw, at)
	if mp.KindOf(raw[at]) == mp.Nil {
		return end, nil
	}
	var v V
	err = mp.Decode(raw[at:end], &v)
	(*t)[key] = v
	return end, err
}
