package main

import "cmp"

// figures are numbers of one kind each, of several stores.
type figures struct{ rows []*figure }

type figure struct {
	what, wanted string
	values       map[string]string // by the kind of store
}

func (f *figures) add(kind, what, value, wanted string) {
	for _, r := range f.rows {
		if r.what == what {
			r.values[kind] = value
			return
		}
	}
	f.rows = append(f.rows, &figure{what, wanted, map[string]string{kind: value}})
}

func (f *figures) print(title string, places []place) {
	columns := []string{"figure"}
	for _, p := range places {
		columns = append(columns, p.kind)
	}
	t := newTable(title, append(columns, "wanted")...)
	for _, r := range f.rows {
		cells := []any{r.what}
		for _, p := range places {
			cells = append(cells, cmp.Or(r.values[p.kind], "-"))
		}
		t.row(append(cells, r.wanted)...)
	}
	t.print()
}
