package attack

// Sections of the table.
const (
	requests   = "request"
	statements = "statement"
	procedures = "call"
)

// attempt is one case: what every kind of user tries.
type attempt struct {
	section string
	verb    string // the request, the statement, or CALL
	object  string // a space, a procedure; empty: there is none
	before  func(n *node, user string)
	run     func(n *node, c *client, user string) verdict
	after   func(n *node, user string)
}

func (a *attempt) key() string { return a.section + " " + a.verb + " " + a.object }

// try lets a user make an attempt, on a session of its own.
func (n *node) try(a *attempt, user string) verdict {
	n.t.Helper()
	if a.before != nil {
		a.before(n, user)
	}
	c := n.dial(user)
	v := a.run(n, c, user)
	if err := c.Close(); err != nil {
		n.t.Fatal(err)
	}
	if a.after != nil {
		a.after(n, user)
	}
	return v
}
