package tenuretest

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tenure-go/tenure"
)

// Sizes of the picture, in pixels.
const (
	labelWidth = 130
	marginX    = 20
	lineHeight = 18
	rowHeight  = 26
	barHeight  = 18
	faultRow   = 13
	laneGap    = 10
	axisHeight = 34
	letter     = 6.2 // the usual width of one, at the size of labels
)

// palette holds the colours of members.
var palette = []string{"#3274a1", "#d9822b", "#3a923a", "#8d69b8", "#84584e", "#d684bd", "#5d8a8a", "#a8a93a"}

// WriteSVG writes a picture: a lane for the seat of each election, for each
// member and for each observer; terms as bars, solid while they were held and
// hatched while their function worked; faults as bands behind them. It is of the
// whole history, or, if v is not nil, of the time around the violation.
func (h *History) WriteSVG(w io.Writer, v *Violation) error {
	_, err := io.WriteString(w, read(h.Events()).svg(v))
	return err
}

// picture is an SVG that is being drawn.
type picture struct {
	*reading
	v      *Violation
	body   strings.Builder
	t0, t1 time.Time
	width  float64
	y      float64 // of what comes next
	colour map[string]string
}

func (r *reading) svg(v *Violation) string {
	p := &picture{reading: r, v: v, colour: map[string]string{}}
	if len(r.events) == 0 {
		return `<svg xmlns="http://www.w3.org/2000/svg" width="200" height="30"><text x="10" y="20">nothing happened</text></svg>` + "\n"
	}
	shown := r.shown(v)
	p.t0, p.t1 = r.events[shown[0]].At, r.events[shown[len(shown)-1]].At
	margin := max(p.t1.Sub(p.t0)/50, time.Millisecond)
	p.t1 = p.t1.Add(margin)
	if v != nil {
		p.t0 = p.t0.Add(-margin)
	}
	p.width = float64(min(max(1100, labelWidth+50*p.termsShown()), 6000))
	lanes := p.lanes()
	for i, l := range lanes {
		if l.kind == memberLane {
			p.colour[l.name] = palette[i%len(palette)]
		}
	}
	p.y = 12
	p.headline()
	top := p.y
	for _, l := range lanes {
		p.lane(l)
	}
	p.common(top)
	return p.frame(top)
}

func (p *picture) termsShown() int {
	n := 0
	for _, t := range p.terms {
		if p.shows(t.election) && t.first != never && p.visible(t.first, t.last) {
			n++
		}
	}
	return n
}

func (p *picture) shows(election string) bool {
	return p.v == nil || p.v.Election == "" || p.v.Election == election
}

// visible reports whether any of the time between two events is in the picture.
func (p *picture) visible(from, to int) bool {
	return !p.events[from].At.After(p.t1) && !p.events[to].At.Before(p.t0)
}

// laneKind is what a lane is of.
type laneKind int

const (
	seatLane laneKind = iota
	memberLane
	observerLane
)

// lane is a member or observer with a row for each of its elections, or the seat
// of one election.
type lane struct {
	kind laneKind
	name string
	rows []string // elections
}

func (p *picture) lanes() []*lane {
	var lanes []*lane
	add := func(kind laneKind, name, election string) {
		if name == "" {
			return
		}
		i := slices.IndexFunc(lanes, func(l *lane) bool { return l.kind == kind && l.name == name })
		if i < 0 {
			i = len(lanes)
			lanes = append(lanes, &lane{kind: kind, name: name})
		}
		if election != "" && p.shows(election) && !slices.Contains(lanes[i].rows, election) {
			lanes[i].rows = append(lanes[i].rows, election)
		}
	}
	for _, e := range p.events {
		switch e.Kind {
		case SeatTaken, SeatFreed:
			add(seatLane, e.Election, e.Election)
		case Observing, ObservedLeader, ObservedNone, ObservedGap:
			add(observerLane, e.Member, e.Election)
		case Note:
		case FaultBegan, FaultEnded:
			add(memberLane, e.Member, "")
		default:
			add(memberLane, e.Member, e.Election)
		}
	}
	lanes = slices.DeleteFunc(lanes, func(l *lane) bool { return len(l.rows) == 0 && l.kind != memberLane })
	for _, l := range lanes {
		slices.Sort(l.rows)
	}
	slices.SortStableFunc(lanes, func(a, b *lane) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), strings.Compare(a.name, b.name))
	})
	return lanes
}

// x is where a moment is, cut to the picture.
func (p *picture) x(t time.Time) float64 {
	part := float64(t.Sub(p.t0)) / float64(p.t1.Sub(p.t0))
	return labelWidth + min(max(part, 0), 1)*(p.width-labelWidth-marginX)
}

func (p *picture) at(i int) float64 { return p.x(p.events[i].At) }

func (p *picture) draw(format string, args ...any) { fmt.Fprintf(&p.body, format+"\n", args...) }

// escape makes text fit for XML, whatever is in it.
func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder never fails
	return b.String()
}

func (p *picture) headline() {
	if p.v == nil {
		return
	}
	line := ""
	flush := func() {
		p.draw(`<text x="10" y="%.1f" class="violation">%s</text>`, p.y+12, escape(line))
		p.y += lineHeight
		line = ""
	}
	for word := range strings.FieldsSeq(p.v.headline()) {
		if float64(len(line)+len(word))*(letter+1) > p.width-40 {
			flush()
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	flush()
	p.y += 6
}

func (p *picture) lane(l *lane) {
	top := p.y
	name := l.name
	switch l.kind {
	case seatLane:
		name = "seat of " + name
	case observerLane:
		name += " sees"
	}
	if l.kind == memberLane {
		p.bands(l.name, top, max(len(l.rows), 1))
	}
	rows := p.y
	for _, election := range l.rows {
		switch l.kind {
		case seatLane:
			p.seatRow(election)
		case observerLane:
			p.observerRow(l.name, election)
		case memberLane:
			p.memberRow(l.name, election)
		}
		p.y += rowHeight
	}
	if len(l.rows) == 0 {
		p.y += rowHeight
	}
	p.draw(`<text x="10" y="%.1f" class="name">%s</text>`, rows+rowHeight/2+4, escape(clip(name, labelWidth-15)))
	p.y += laneGap / 2
	p.draw(`<line x1="0" x2="%.0f" y1="%.1f" y2="%.1f" class="rule"/>`, p.width, p.y, p.y)
	p.y += laneGap / 2
}

// bands draws the faults of a member behind its rows, and their names above.
func (p *picture) bands(member string, top float64, rows int) {
	var lines []float64 // where each line of names is full up to
	type placed struct {
		fault
		line int
	}
	var all []placed
	for _, f := range p.faults() {
		if f.who != member || !p.visible(f.from, f.to) {
			continue
		}
		line := slices.IndexFunc(lines, func(end float64) bool { return end <= p.at(f.from) })
		if line < 0 {
			line = len(lines)
			lines = append(lines, 0)
		}
		lines[line] = max(p.at(f.to), p.at(f.from)+float64(len(f.what))*letter) + 4
		all = append(all, placed{f, line})
	}
	p.y += float64(len(lines) * faultRow)
	for _, f := range all {
		x, w := p.at(f.from), max(p.at(f.to)-p.at(f.from), 2)
		y := top + float64(f.line*faultRow)
		p.draw(`<g><title>%s</title><rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" class="fault"/>`,
			escape(p.faultTitle(f.fault)), x, y, w, p.y-y+float64(rows*rowHeight))
		p.draw(`<text x="%.1f" y="%.1f" class="faultname">%s</text></g>`, min(x+2, p.width-60), y+faultRow-3, escape(f.what))
	}
}

func (p *picture) faultTitle(f fault) string {
	to := "the last"
	if f.ended {
		to = offset(p.since(f.to))
	}
	return fmt.Sprintf("%s: %s to %s", f.what, offset(p.since(f.from)), to)
}

// bar draws one bar with its label, in the colour of a member. It returns where
// the label ends; one that would run into the label before is left out.
func (p *picture) bar(member, class, label, title string, from, to, busy float64) float64 {
	w := max(to-from, 2)
	p.draw(`<g><title>%s</title><rect x="%.1f" y="%.1f" width="%.1f" height="%d" fill="%s" class="%s"/></g>`,
		escape(title), from, p.y+4, w, barHeight, p.colour[member], class)
	if label == "" || from < busy {
		return busy
	}
	return from + float64(len(label))*letter + 6
}

func (p *picture) label(x float64, text string) {
	p.draw(`<text x="%.1f" y="%.1f" class="label">%s</text>`, x+3, p.y+rowHeight/2+5, escape(text))
}

func (p *picture) seatRow(election string) {
	seats, busy := p.seats[election], 0.0
	for i, s := range seats {
		end := p.events[len(p.events)-1].At
		if i+1 < len(seats) {
			end = p.events[seats[i+1].at].At
		}
		if s.token == 0 || end.Before(p.t0) || p.events[s.at].At.After(p.t1) {
			continue
		}
		label := termLabel(s.member, s.token)
		from, before := p.at(s.at), busy
		if busy = p.bar(s.member, "seat", label, p.events[s.at].String(), from, p.x(end), busy); busy != before {
			p.label(from, label)
		}
	}
}

func termLabel(name string, token tenure.Token) string { return fmt.Sprintf("%s %d", name, token) }

func (p *picture) memberRow(member, election string) {
	p.draw(`<text x="%d" y="%.1f" class="row">%s</text>`, labelWidth-6, p.y+rowHeight/2+4, escape(clip(election, labelWidth/2)))
	p.wishes(member, election)
	busy := 0.0
	for _, t := range p.terms {
		if t.member != member || t.election != election || t.first == never || !p.visible(t.first, t.last) {
			continue
		}
		end := t.last
		if t.ended == never {
			end = len(p.events) - 1
		}
		title := fmt.Sprintf("%s in %s%s", t, election, p.life(t))
		label := termLabel(election, t.token)
		from, before := p.at(t.first), busy
		busy = p.bar(member, "term", label, title, from, p.at(end), busy)
		if t.heldFirst != never {
			p.bar(member, "held", "", title, p.at(t.heldFirst), p.at(t.heldLast), 0)
		}
		for _, w := range t.work {
			to := len(p.events) - 1
			if w.returned != never {
				to = w.returned
			}
			p.draw(`<g><title>works: %s</title><rect x="%.1f" y="%.1f" width="%.1f" height="6" class="work"/></g>`,
				escape(title), p.at(w.began), p.y+4+barHeight-6, max(p.at(to)-p.at(w.began), 2))
		}
		if busy != before {
			p.label(from, label)
		}
	}
	for i, e := range p.events {
		if e.Kind == Wrote && e.Member == member && e.Election == election && p.visible(i, i) {
			p.draw(`<g><title>%s</title><rect x="%.1f" y="%.1f" width="1.5" height="5" class="write"/></g>`, escape(e.String()), p.at(i), p.y)
		}
	}
}

// wishes draws a line while the member is a candidate.
func (p *picture) wishes(member, election string) {
	since := never
	line := func(to int) {
		if since != never && p.visible(since, to) {
			p.draw(`<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" class="wish"/>`, p.at(since), p.at(to), p.y+4+barHeight/2, p.y+4+barHeight/2)
		}
		since = never
	}
	for i, e := range p.events {
		switch {
		case e.Member != member || e.Election != election:
		case e.Kind == Wanted:
			set(&since, i)
		case e.Kind == Unwanted:
			line(i)
		}
	}
	line(len(p.events) - 1)
}

func (p *picture) observerRow(observer, election string) {
	p.draw(`<text x="%d" y="%.1f" class="row">%s</text>`, labelWidth-6, p.y+rowHeight/2+4, escape(clip(election, labelWidth/2)))
	last, busy := never, 0.0
	upTo := func(to int) {
		if last == never || p.events[last].Kind != ObservedLeader || !p.visible(last, to) {
			return
		}
		e := p.events[last]
		label := termLabel(e.Text, e.Token)
		from, before := p.at(last), busy
		if busy = p.bar(e.Text, "seen", label, observer+" "+e.String(), from, p.at(to), busy); busy != before {
			p.label(from, label)
		}
	}
	for i, e := range p.events {
		if e.Member != observer || e.Election != election {
			continue
		}
		switch e.Kind {
		case ObservedGap:
			if p.visible(i, i) {
				p.draw(`<g><title>%s</title><rect x="%.1f" y="%.1f" width="4" height="%d" class="gap"/></g>`, escape(e.String()), p.at(i), p.y+4, barHeight)
			}
		case ObservedLeader, ObservedNone, Observing:
			upTo(i)
			last = i
		}
	}
	upTo(len(p.events) - 1)
}

// common draws what goes through all lanes: faults of everybody, the end of all
// faults, and the violation.
func (p *picture) common(top float64) {
	for _, f := range p.faults() {
		if f.who == "" && p.visible(f.from, f.to) {
			p.draw(`<g><title>%s</title><rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" class="fault"/><text x="%.1f" y="%.1f" class="faultname">%s</text></g>`,
				escape(p.faultTitle(f)), p.at(f.from), top, max(p.at(f.to)-p.at(f.from), 2), p.y-top, p.at(f.from)+2, p.y-4, escape(f.what))
		}
	}
	for i, e := range p.events {
		if e.Kind == FaultsOver && p.visible(i, i) {
			p.draw(`<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" class="over"/><text x="%.1f" y="%.1f" class="faultname">faults over</text>`,
				p.at(i), p.at(i), top, p.y, p.at(i)+2, p.y-2)
		}
	}
	if p.v != nil {
		x := p.x(p.v.At)
		p.draw(`<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" class="moment"/>`, x, x, top-4, p.y+4)
	}
}

// frame puts the time axis and a legend under what was drawn, and the document
// around it.
func (p *picture) frame(top float64) string {
	var grid strings.Builder
	start := p.events[0].At
	every := tick(p.t1.Sub(p.t0), int((p.width-labelWidth)/110))
	for d := p.t0.Sub(start).Truncate(every); ; d += every {
		t := start.Add(d)
		if t.After(p.t1) {
			break
		}
		if t.Before(p.t0) {
			continue
		}
		fmt.Fprintf(&grid, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" class="grid"/><text x="%.1f" y="%.1f" class="tick">+%v</text>`+"\n",
			p.x(t), p.x(t), top, p.y+4, p.x(t), p.y+16, d)
	}
	height := p.y + axisHeight
	p.draw(`<text x="10" y="%.1f" class="row legend">solid: held; pale: the term; hatched: its function works; ticks above: guarded writes; line: candidate; red: faults</text>`, height-4)
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" role="img">
<style>%s</style>
<defs><pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="5" height="5" fill="#fff" fill-opacity="0.35"/><line x1="0" x2="0" y1="0" y2="5" stroke="#000" stroke-opacity="0.75" stroke-width="2"/></pattern></defs>
<rect width="100%%" height="100%%" fill="#fff"/>
%s%s</svg>
`, p.width, height, p.width, height, style, grid.String(), p.body.String())
}

const style = `
text{font:11px system-ui,Helvetica,Arial,sans-serif;fill:#222}
.name{font-weight:bold;font-size:12px}.row{fill:#666;text-anchor:end}.legend{text-anchor:start}.tick{fill:#666;text-anchor:middle}
.label{paint-order:stroke;stroke:#fff;stroke-width:2.5px;stroke-linejoin:round}
.violation{fill:#c00;font-weight:bold;font-size:12px}.moment{stroke:#e00;stroke-width:1.5}
.rule,.grid{stroke:#e4e4e4}.over{stroke:#3a923a;stroke-dasharray:4 3}
.fault{fill:#d33;fill-opacity:.11;stroke:#d33;stroke-opacity:.35}.faultname{font-size:10px;fill:#a33}
.term{fill-opacity:.28;stroke:#555;stroke-opacity:.5}.seat,.held{fill-opacity:.95}.seen{fill-opacity:.6}
.work{fill:url(#hatch)}.write{fill:#000}.gap{fill:#777}.wish{stroke:#aaa}
`

// tick returns a round distance such that about n of them fill d.
func tick(d time.Duration, n int) time.Duration {
	wanted := max(d/time.Duration(max(n, 1)), 1)
	for unit := time.Duration(1); ; unit *= 10 {
		for _, round := range []time.Duration{unit, 2 * unit, 5 * unit} {
			if round >= wanted {
				return round
			}
		}
	}
}

// clip shortens a text to about so many pixels.
func clip(s string, pixels int) string {
	n := int(float64(pixels) / letter)
	if letters := []rune(s); len(letters) > n {
		return string(letters[:n-1]) + "…"
	}
	return s
}
