package audit

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Type names what has happened.
type Type string

// Types with a counterpart in Tarantool have its name.
const (
	Enable         Type = "audit_enable"
	Lost           Type = "audit_lost"
	AuthOK         Type = "auth_ok"
	AuthFail       Type = "auth_fail"
	Disconnect     Type = "disconnect"
	AccessDenied   Type = "access_denied"
	UserCreate     Type = "user_create"
	UserDrop       Type = "user_drop"
	RoleCreate     Type = "role_create"
	RoleDrop       Type = "role_drop"
	PasswordChange Type = "password_change"
	UserGrant      Type = "user_grant_rights"
	UserRevoke     Type = "user_revoke_rights"
	RoleGrant      Type = "role_grant_rights"
	RoleRevoke     Type = "role_revoke_rights"
	SpaceCreate    Type = "space_create"
	SpaceAlter     Type = "space_alter"
	SpaceDrop      Type = "space_drop"
	SpaceTruncate  Type = "space_truncate"
	FuncChange     Type = "func_change"
	SequenceChange Type = "sequence_change"
	MemberChange   Type = "member_change"
	SystemChange   Type = "system_change"
	Call           Type = "call"
	Leader         Type = "leader_change"
	RowsVoided     Type = "rows_voided"
)

// groups are names of audit_log.filter for several types.
var groups = map[string][]Type{
	"audit":   {Enable, Lost},
	"auth":    {AuthOK, AuthFail, Disconnect, UserCreate, UserDrop, RoleCreate, RoleDrop, PasswordChange, UserGrant, UserRevoke, RoleGrant, RoleRevoke},
	"priv":    {UserGrant, UserRevoke, RoleGrant, RoleRevoke},
	"ddl":     {SpaceCreate, SpaceAlter, SpaceDrop, SpaceTruncate, UserCreate, UserDrop, RoleCreate, RoleDrop, PasswordChange, UserGrant, UserRevoke, RoleGrant, RoleRevoke, FuncChange, SequenceChange},
	"cluster": {MemberChange, SystemChange, Leader, RowsVoided, Call},
}

// all but Disconnect, which is most of the lines where clients come and go.
var usual = []Type{Enable, Lost, AuthOK, AuthFail, AccessDenied, UserCreate, UserDrop, RoleCreate, RoleDrop, PasswordChange, UserGrant, UserRevoke,
	RoleGrant, RoleRevoke, SpaceCreate, SpaceAlter, SpaceDrop, SpaceTruncate, FuncChange, SequenceChange, MemberChange, SystemChange, Call, Leader, RowsVoided}

// ParseFilter reads audit_log.filter: names of types and groups, "all" and "none". Without
// any, everything but disconnect is written. A name that is none is an error, which has all that are.
func ParseFilter(names []string) (Filter, error) {
	f := Filter{}
	if len(names) == 0 {
		f.add(usual)
		return f, nil
	}
	for _, name := range names {
		switch types, group := groups[name]; {
		case name == "none":
			f.add([]Type{Enable, Lost})
		case name == "all":
			f.add(usual)
			f.add([]Type{Disconnect})
		case group:
			f.add(types)
		case name == string(Disconnect) || slices.Contains(usual, Type(name)):
			f.add([]Type{Type(name)})
		default:
			return nil, fmt.Errorf("%q is neither an event nor a group of them: all, none, %s", name, strings.Join(known(), ", "))
		}
	}
	f.add([]Type{Enable, Lost}) // a log that says nothing of its own gaps is none
	return f, nil
}

func known() (names []string) {
	for name := range groups {
		names = append(names, name)
	}
	for _, t := range append(slices.Clone(usual), Disconnect) {
		names = append(names, string(t))
	}
	slices.Sort(names)
	return names
}

// Filter is the set of types that are written.
type Filter map[Type]bool

func (f Filter) add(types []Type) {
	for _, t := range types {
		f[t] = true
	}
}

// Severities, as in Tarantool: what somebody was refused or has lost is an alarm.
const (
	severityInfo  = "INFO"
	severityAlarm = "ALARM"
)

func (t Type) severity() string {
	switch t {
	case AuthFail, AccessDenied, RowsVoided, Lost:
		return severityAlarm
	}
	return severityInfo
}

// Session types, as box.session.type() has them.
const (
	Binary     = "binary"     // a connection
	Console    = "console"    // the control socket
	Background = "background" // the instance itself
)

// Event is one thing that has happened.
type Event struct {
	Type        Type
	Remote      string // host:port of the client; empty: there is none
	SessionType string // empty: Background
	User        string // as whom it ran; empty: admin, by the instance itself
	Description string // for people
	Term, LSN   uint64 // of the transaction; 0: it is none
	Outcome     string // of a transaction: Done or RolledBack
}

// Outcomes of a transaction.
const (
	Done       = "done"
	RolledBack = "rolled back"
)

// line is what a record has in the file.
type line struct {
	Time        string `json:"time"`
	UUID        string `json:"uuid"`
	Severity    string `json:"severity"`
	Remote      string `json:"remote"`
	SessionType string `json:"session_type"`
	Module      string `json:"module"`
	User        string `json:"user"`
	Type        Type   `json:"type"`
	Tag         string `json:"tag"`
	Description string `json:"description"`
	Term        uint64 `json:"term,omitempty"`
	LSN         uint64 `json:"lsn,omitempty"`
	Outcome     string `json:"outcome,omitempty"`
}

// timeFormat is ISO 8601 with milliseconds and zone.
const timeFormat = "2006-01-02T15:04:05.000-0700"

func (e *Event) line(at time.Time, uuid string) line {
	l := line{Time: at.Format(timeFormat), UUID: uuid, Severity: e.Type.severity(), Remote: e.Remote, SessionType: e.SessionType, Module: "tarragon",
		User: e.User, Type: e.Type, Description: e.Description, Term: e.Term, LSN: e.LSN, Outcome: e.Outcome}
	if l.SessionType == "" {
		l.SessionType = Background
	}
	if l.User == "" {
		l.User = "admin"
	}
	return l
}
