package protocol_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// coverage counts what schedules have exercised.
type coverage struct {
	schedules, steps int
	begins           int
	moves            map[protocol.Move]*moveCount
	lateEffects      map[protocol.Move]int
	writes           [2]int // refused, applied
	faults           [opKinds]faultCount
	causes           map[error]int
	pairs            pairs
}

type moveCount struct {
	taken   int
	marks   int           // of withdrawals: that left a mark
	refused map[guard]int // by the first condition that did not hold
}

type faultCount struct{ struck, inOffice int }

// guard names what a transaction was conditioned on.
type guard string

const (
	guardSeat      guard = "the seat"
	guardCandidate guard = "own candidate"
	guardSuccessor guard = "the successor's candidate"
	guardLease     guard = "the lease"
	guardPause     guard = "a pause"
	guardDrain     guard = "a drain"
	guardVictim    guard = "the victim's candidate"
)

// guards lists all that each move is conditioned on.
var guards = map[protocol.Move][]guard{
	protocol.MoveEnrol:    {guardCandidate, guardLease},
	protocol.MoveTake:     {guardSeat, guardCandidate, guardLease, guardPause, guardDrain},
	protocol.MoveOutlive:  {guardSeat, guardCandidate, guardLease, guardPause, guardDrain},
	protocol.MoveDepose:   {guardSeat},
	protocol.MoveHandOver: {guardSeat, guardSuccessor, guardPause, guardDrain},
	protocol.MoveRelease:  {guardSeat},
	protocol.MoveWithdraw: {guardCandidate},
}

func newCoverage() *coverage {
	c := &coverage{moves: map[protocol.Move]*moveCount{}, lateEffects: map[protocol.Move]int{}, causes: map[error]int{}}
	for move := range guards {
		c.moves[move] = &moveCount{refused: map[guard]int{}}
	}
	return c
}

func (c *coverage) took(move protocol.Move, tx store.Tx) {
	if n := c.moves[move]; n != nil {
		n.taken++
		if move == protocol.MoveWithdraw && !tx.Then[0].Delete {
			n.marks++
		}
	}
}

func (c *coverage) refused(move protocol.Move, by string) {
	n := c.moves[move]
	switch {
	case n == nil:
	case by == "lease":
		n.refused[guardLease]++
	case strings.HasPrefix(by, protocol.LeadersPrefix):
		n.refused[guardSeat]++
	case strings.HasPrefix(by, protocol.PausePrefix):
		n.refused[guardPause]++
	case strings.HasPrefix(by, protocol.DrainPrefix):
		n.refused[guardDrain]++
	case move == protocol.MoveHandOver:
		n.refused[guardSuccessor]++
	default:
		n.refused[guardCandidate]++
	}
}

func (c *coverage) write(applied bool) {
	if applied {
		c.writes[1]++
	} else {
		c.writes[0]++
	}
}

func (c *coverage) fault(kind opKind, inOffice bool) {
	c.faults[kind].struck++
	if inOffice {
		c.faults[kind].inOffice++
	}
}

// add adds what another has counted.
func (c *coverage) add(o *coverage) {
	c.schedules += o.schedules
	c.steps += o.steps
	c.begins += o.begins
	for move, n := range o.moves {
		c.moves[move].taken += n.taken
		c.moves[move].marks += n.marks
		for g, k := range n.refused {
			c.moves[move].refused[g] += k
		}
	}
	for move, n := range o.lateEffects {
		c.lateEffects[move] += n
	}
	for i := range c.writes {
		c.writes[i] += o.writes[i]
	}
	for i := range c.faults {
		c.faults[i].struck += o.faults[i].struck
		c.faults[i].inOffice += o.faults[i].inOffice
	}
	for cause, n := range o.causes {
		c.causes[cause] += n
	}
	c.pairs.add(&o.pairs)
}

// ended counts the cause of a term's end, without what is told of it.
func (c *coverage) ended(cause error) {
	for _, known := range causes {
		if errors.Is(cause, known) {
			c.causes[known]++
			return
		}
	}
}

// causes are all that a term may end with.
var causes = []error{
	protocol.ErrSessionExpired, protocol.ErrUnproven, protocol.ErrDeposed, protocol.ErrTransferred, protocol.ErrPreempted,
	protocol.ErrDrained, protocol.ErrIneligible, errResigned, protocol.ErrDispossessed,
}

// missing names what was never exercised.
func (c *coverage) missing(abuse bool) (missing []string) {
	never := func(n int, format string, args ...any) {
		if n == 0 {
			missing = append(missing, fmt.Sprintf(format, args...))
		}
	}
	for move, gs := range guards {
		never(c.moves[move].taken, "move %q was never taken", move)
		for _, g := range gs {
			if move == protocol.MoveOutlive && g == guardLease && !abuse {
				continue // who has outlived a vacancy renews
			}
			never(c.moves[move].refused[g], "move %q was never refused for %s", move, g)
		}
		never(c.lateEffects[move], "move %q never took effect late", move)
	}
	never(c.moves[protocol.MoveWithdraw].marks, "no withdrawal left a mark")
	never(c.writes[0], "no guarded write was refused")
	never(c.writes[1], "no guarded write was applied")
	for kind, n := range c.faults {
		if k := opKind(kind); k.fault() && k.in(abuse) {
			never(n.inOffice, "fault %q never struck a leader in office", k)
		}
	}
	for _, cause := range causes {
		if abuse || !errors.Is(cause, protocol.ErrDispossessed) {
			never(c.causes[cause], "no term ended with %q", cause)
		}
	}
	missing = append(missing, c.pairs.missing()...)
	slices.Sort(missing)
	return missing
}

// String is the report.
func (c *coverage) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d schedules, %d steps, %d terms\n\n%-10s %10s %10s  refused for\n", c.schedules, c.steps, c.begins, "move", "taken", "late")
	for _, move := range slices.Sorted(maps.Keys(c.moves)) {
		n := c.moves[move]
		fmt.Fprintf(&b, "%-10s %10d %10d ", move, n.taken, c.lateEffects[move])
		for _, g := range guards[move] {
			fmt.Fprintf(&b, "  %s: %d", g, n.refused[g])
		}
		if move == protocol.MoveWithdraw {
			fmt.Fprintf(&b, "  (%d left a mark)", n.marks)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%-10s %10d %10s   the seat: %d\n\n%-28s %10s %18s\n", "user write", c.writes[1], "", c.writes[0], "fault", "struck", "a leader in office")
	for kind, n := range c.faults {
		if n.struck > 0 {
			fmt.Fprintf(&b, "%-28s %10d %18d\n", opKind(kind), n.struck, n.inOffice)
		}
	}
	fmt.Fprintf(&b, "\n%-50s %10s\n", "cause of a term's end", "terms")
	for _, cause := range slices.SortedFunc(maps.Keys(c.causes), func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) }) {
		fmt.Fprintf(&b, "%-50s %10d\n", cause, c.causes[cause])
	}
	fmt.Fprintf(&b, "\n%v\n", &c.pairs)
	return b.String()
}
