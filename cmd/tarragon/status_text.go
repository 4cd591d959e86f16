package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// statusWidth is what a terminal has at least. Tables of small clusters fit; an
// address or a vclock may be longer.
const statusWidth = 80

// printTable prints who leads and who may write, how the streams are, under
// which rules leaders change, then what is not well and what to do.
func printTable(w io.Writer, all []*instanceInfo) error {
	var b strings.Builder
	printRoles(&b, all)
	b.WriteString("\n")
	printStreams(&b, all)
	printRules(&b, all)
	printPauses(&b, all)
	printMandates(&b, all)
	printNodesSaid(&b, all)
	printMoves(&b, all)
	printPreferred(&b, all)
	printForwards(&b, all)
	printRouters(&b, all)
	printCopies(&b, all)
	for _, p := range problems(all) {
		fmt.Fprintln(&b, "problem:", p)
	}
	for _, in := range all {
		in.printTroubles(&b)
	}
	printSplitBrain(&b, all)
	printCarried(&b, all)
	printRefused(&b, all)
	_, err := io.WriteString(w, b.String())
	return err
}

func printRoles(w io.Writer, all []*instanceInfo) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "INSTANCE\tKIND\tROLE\tTERM\tLEADER\tREAD-ONLY\tLAG\tUNDECIDED")
	for _, in := range all {
		role := in.Role
		switch {
		case !in.known():
			role = "unreachable"
			if in.Refused != "" {
				role = in.Refused
			}
			fmt.Fprintf(t, "%s\t-\t%s\t-\t-\t-\t-\t-\n", dash(in.Name), role)
			continue
		case in.Status != "running":
			role += " (" + in.Status + ")"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", dash(in.Name), in.kindText(), dash(role), in.termText(), dash(in.Leader),
			in.readOnlyText(), in.lagText(), in.undecidedText())
	}
	t.Flush()
}

func printStreams(w io.Writer, all []*instanceInfo) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "INSTANCE\tADDRESS\tUPSTREAMS\tDOWNSTREAMS\tMEMORY\tVCLOCK")
	for _, in := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", dash(in.Name), dash(in.Address), in.streamsText("upstream"), in.streamsText("downstream"), in.memoryText(), dash(in.VClock))
	}
	t.Flush()
}

// printRules says which rules of failover each replica set is under, where one
// of its instances of ours can tell.
func printRules(w io.Writer, all []*instanceInfo) {
	var told []string
next:
	for _, in := range rulesFirst(all) {
		for _, set := range told {
			if set == in.Replicaset {
				continue next
			}
		}
		told = append(told, in.Replicaset)
		set := ""
		if in.Replicaset != "" {
			set = " of " + in.Replicaset
		}
		switch in.Rules {
		case rulesStrong:
			fmt.Fprintf(w, "rules%s: strong, all voters are Tarragon\n", set)
		case rulesOff:
			fmt.Fprintf(w, "rules%s: none, elections are off: a write counts once its author has it\n", set)
		case rulesTarantool:
			fmt.Fprint(w, wrap(fmt.Sprintf("rules%s: Tarantool's%s", set, because(in.Tarantools)), ""))
			fmt.Fprint(w, wrap(rulesLoss, "  "))
		}
		if in.Feature != nil {
			fmt.Fprintf(w, "feature level%s: %s\n", set, in.Feature.text())
		}
	}
}

// Words of box.info.tarragon.rules.
const (
	rulesStrong    = "strong"
	rulesTarantool = "tarantool"
	rulesOff       = "off"
)

// rulesLoss is what Tarantool's rules do not keep (docs/protocol/divergence.md).
const rulesLoss = "not kept: rows that a lost leader did not share are a split brain, not undone by themselves; " +
	"a Tarantool leader rolls back by its timer and shows what no quorum has"

// because names the members that bring Tarantool's rules about.
func because(tarantools []string) string {
	switch len(tarantools) {
	case 0:
		return ", until the next change of leader"
	case 1:
		return ": " + tarantools[0] + " is one"
	}
	return ": " + strings.Join(tarantools, ", ") + " are of that kind"
}

// rulesFirst are the instances that tell rules, newest term first, in it the leader:
// the others may not have heard.
func rulesFirst(all []*instanceInfo) []*instanceInfo {
	var out []*instanceInfo
	for _, in := range all {
		if in.Error != "" || in.Rules == "" {
			continue
		}
		i := len(out)
		for i > 0 && (out[i-1].Term < in.Term || out[i-1].Term == in.Term && out[i-1].ReadOnly && !in.ReadOnly) {
			i--
		}
		out = append(out[:i], append([]*instanceInfo{in}, out[i:]...)...)
	}
	return out
}

// printTroubles prints what one instance has to complain about.
func (in *instanceInfo) printTroubles(w io.Writer) {
	switch {
	case in.Error != "":
		fmt.Fprintf(w, "%s: %s\n", in.label(), in.Error)
	case in.LastError != "":
		fmt.Fprintf(w, "%s: last error: %s\n", in.label(), in.LastError)
	}
	if in.QuorumFile != "" {
		fmt.Fprintf(w, "%s: its file asks for replication.synchro_quorum %s, the replica set has %s\n", in.label(), in.QuorumFile, in.QuorumSet)
	}
	if in.Role == "leader" && len(in.Learners) > 0 {
		fmt.Fprintf(w, "%s: not counted before they have caught up: %s\n", in.label(), strings.Join(in.Learners, ", "))
	}
	for _, s := range in.Streams {
		if !s.healthy() || s.Message != "" { // a message of one that is well: how far it is
			fmt.Fprintf(w, "%s: %s %s is %s%s\n", in.label(), s.Direction, s.Peer, dash(s.Status), reason(s.Message))
		}
	}
}

// printCarried prints what instances keep without serving it, once for those
// that say the same: members hold the same schema.
func printCarried(w io.Writer, all []*instanceInfo) {
	told := make([]bool, len(all))
	for i, in := range all {
		if told[i] || len(in.Carried) == 0 {
			continue
		}
		names := []string{in.label()}
		for k := i + 1; k < len(all); k++ {
			if slices.Equal(all[k].Carried, in.Carried) {
				told[k], names = true, append(names, all[k].label())
			}
		}
		fmt.Fprintf(w, "kept and replicated, but not served by %s:\n", strings.Join(names, ", "))
		for _, c := range in.Carried {
			fmt.Fprintf(w, "  %s\n", c)
		}
	}
}

// printSplitBrain says what to do about one. Where one side refuses the other
// and not the other way round, that is the side without the leader.
func printSplitBrain(w io.Writer, all []*instanceInfo) {
	var refused []string
	oneWay := true
	for _, in := range all {
		for _, s := range in.SplitBrain {
			if !slices.Contains(refused, s.Peer) {
				refused = append(refused, s.Peer)
			}
		}
	}
	for _, in := range all {
		oneWay = oneWay && (len(in.SplitBrain) == 0 || !slices.Contains(refused, in.label()))
	}
	if len(refused) == 0 {
		return
	}
	slices.Sort(refused)
	whose := "Choose whose rows to keep; on each instance of the other side: "
	if oneWay {
		whose = "To go on without the rows that only " + strings.Join(refused, ", ") + " has: there "
	}
	fmt.Fprint(w, wrap("Both sides of a split brain went on without each other, and nothing is merged. "+whose+
		"stop it, save its data directory, empty it, start it with TT_DATABASE_INSTANCE_UUID set to its uuid (--json tells it); "+
		"it joins anew. Then restart who refuses it, the leader last.", ""))
}

// wrap breaks a text into lines of statusWidth that begin with an indent.
func wrap(text, indent string) string {
	var b strings.Builder
	line := indent
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > statusWidth && line != indent {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = indent
			if indent == "" {
				line = "  "
			}
		}
		if strings.TrimSpace(line) != "" {
			line += " "
		}
		line += word
	}
	b.WriteString(line + "\n")
	return b.String()
}

// kindText is what an instance is, with the version of Tarantool.
func (in *instanceInfo) kindText() string {
	if in.Kind == "Tarragon" {
		return in.Kind
	}
	version, _, _ := strings.Cut(in.Version, "-")
	return strings.TrimSpace(dash(in.Kind) + " " + version)
}

// printRefused says how to be let in.
func printRefused(w io.Writer, all []*instanceInfo) {
	refused, local := false, false
	for _, in := range all {
		refused = refused || in.Refused != ""
		local = local || in.Refused != "" && in.Kind != "Tarantool"
	}
	if !refused {
		return
	}
	ways := "To see the rest: --user and --password-file of a user with the role super"
	if local {
		ways += ", or run this on the machine of the instance, as the user that runs it (tarragon.control_socket)"
	}
	fmt.Fprint(w, wrap(ways+".", ""))
}

func reason(message string) string {
	if message == "" {
		return ""
	}
	return ": " + message
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (in *instanceInfo) lagText() string {
	if in.Lag == nil {
		return "-"
	}
	return seconds(*in.Lag)
}

// termText: with elections off those who have not been asked all tell none.
func (in *instanceInfo) termText() string {
	if in.Error != "" && in.Term == 0 {
		return "-"
	}
	return strconv.FormatUint(in.Term, 10)
}

func (in *instanceInfo) undecidedText() string {
	if in.Error != "" {
		return "-" // not asked
	}
	if in.Undecided == nil {
		return "0"
	}
	u := in.Undecided
	return fmt.Sprintf("%d of %s, oldest %s", u.Count, u.Owner, seconds(u.Age))
}

func (in *instanceInfo) readOnlyText() string {
	switch {
	case !in.ReadOnly:
		return "no"
	case in.Reason != "":
		return in.Reason
	}
	return "yes"
}

// memoryText is how much of its memory an instance has taken.
func (in *instanceInfo) memoryText() string {
	if in.Memory == nil {
		return "-"
	}
	return fmt.Sprintf("%d of %dM", in.Memory.Taken>>20, in.Memory.Limit>>20)
}

// streamsText counts the streams that run.
func (in *instanceInfo) streamsText(direction string) string {
	all, well := 0, 0
	for _, s := range in.Streams {
		if s.Direction != direction {
			continue
		}
		all++
		if s.healthy() {
			well++
		}
	}
	if all == 0 {
		return "-"
	}
	return fmt.Sprintf("%d/%d", well, all)
}

// seconds is a time for people: three digits are enough.
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d < 0:
		d = 0
	case d < time.Millisecond:
		d = d.Round(time.Microsecond)
	case d < time.Second:
		d = d.Round(100 * time.Microsecond)
	default:
		d = d.Round(10 * time.Millisecond)
	}
	return d.String()
}
