package tenuretest

// Rule names what a history must keep.
type Rule string

const (
	// OneHolder: no two terms of an election are held at once, and a term that
	// was not held once, or has ended, is never held again.
	OneHolder Rule = "one holder"
	// TokensRise: from each term of an election to the next the token rises, no
	// two members have the same one, and every term had the seat in the store
	// with its token.
	TokensRise Rule = "tokens rise"
	// FencedWrites: a guarded write takes effect only while its term has the
	// seat, and what a member was told took effect did so.
	FencedWrites Rule = "fenced writes"
	// OneEnd: a term begins once and ends once, with a cause.
	OneEnd Rule = "one end"
	// DrainFirst: after an end that was not a loss, nobody works in the election
	// before the function of that term has returned.
	DrainFirst Rule = "drain before release"
	// ObserversAgree: an observer is told of the present state first, and then of
	// every change of the seat in order; what it misses, a gap says.
	ObserversAgree Rule = "observers agree"
	// ProgressResumes: within Expect.Progress of the end of all faults, somebody
	// leads each election that somebody wants to lead all that time.
	ProgressResumes Rule = "progress resumes"
)
