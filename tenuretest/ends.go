package tenuretest

import "fmt"

func checkOneEnd(r *reading, x Expect) *finding {
	var first *finding
	for _, t := range r.terms {
		f := t.checkEnd(r, x)
		if f != nil && (first == nil || f.at < first.at) {
			f.rule, f.election = OneEnd, t.election
			first = f
		}
	}
	return first
}

func (t *term) checkEnd(r *reading, x Expect) *finding {
	last := len(r.events) - 1
	switch {
	case t.first == never: // the store alone knows of it
		return nil
	case t.electedDup != never:
		return &finding{at: t.electedDup, also: []int{t.elected}, text: fmt.Sprintf("the term of %s in %s began twice", t, t.election)}
	case t.endedDup != never:
		return &finding{at: t.endedDup, also: []int{t.ended}, text: fmt.Sprintf("the term of %s in %s ended twice", t, t.election)}
	case t.ended != never && (t.elected == never || t.ended < t.elected):
		return &finding{at: t.ended, text: fmt.Sprintf("the term of %s in %s ended and had not begun", t, t.election)}
	case t.ended != never && t.cause == nil:
		return &finding{at: t.ended, text: fmt.Sprintf("the term of %s in %s ended without a cause", t, t.election)}
	case x.Finished && t.elected == never:
		return &finding{at: last, also: []int{t.first}, text: fmt.Sprintf("the term of %s in %s was never told of", t, t.election)}
	case x.Finished && t.ended == never:
		return &finding{at: last, also: []int{t.elected}, text: fmt.Sprintf("the term of %s in %s never ended", t, t.election)}
	}
	return nil
}
