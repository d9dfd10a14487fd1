package tenuretest

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// WriteHTML writes a page: the picture of WriteSVG, and the timeline of
// WriteText as a table. It refers to nothing outside of itself.
func (h *History) WriteHTML(w io.Writer, v *Violation) error {
	r := read(h.Events())
	title := "history"
	if v != nil {
		title = v.headline()
	}
	var s strings.Builder
	fmt.Fprintf(&s, `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>%s</title>
<style>body{font:14px system-ui,sans-serif;margin:16px}table{border-collapse:collapse}td{padding:1px 12px 1px 0;white-space:nowrap}
td:first-child{text-align:right;color:#666}.shows{background:#fff3c4}.violation{background:#fdd}.skip td{color:#999}</style></head><body>
`, escape(title))
	if v != nil {
		fmt.Fprintf(&s, "<h3>%s</h3>\n", escape(title))
	}
	s.WriteString(`<div style="overflow-x:auto">` + r.svg(v) + "</div>\n<table>\n")
	r.rows(&s, v)
	s.WriteString("</table></body></html>\n")
	_, err := io.WriteString(w, s.String())
	return err
}

func (r *reading) rows(s *strings.Builder, v *Violation) {
	if len(r.events) == 0 {
		return
	}
	before := never
	for _, i := range r.shown(v) {
		class := ""
		if v != nil && r.skipped(v, before, i) {
			s.WriteString("<tr class=\"skip\"><td></td><td></td><td>...</td></tr>\n")
		}
		switch {
		case v == nil:
		case i == v.at:
			class = "violation"
		case slices.Contains(v.marks, i):
			class = "shows"
		}
		e := r.events[i]
		fmt.Fprintf(s, "<tr class=\"%s\"><td>%s</td><td>%s</td><td>%s</td></tr>\n",
			cmp.Or(class, "event"), offset(r.since(i)), escape(e.who()), escape(e.String()))
		before = i
	}
}
