package main

import "fmt"

// report is what there is to judge.
type report struct {
	jobs    []job
	results []result
	killed  map[int]int  // each pid, with how many results there were before
	joined  map[int]bool // each pid that says so
	ended   map[int]bool // those of which the command says so
	cutOff  map[int]bool // those that said of themselves that they were
	leaders int          // how many were in office when they were killed
	err     error        // of the command
}

// wrong says what of a report breaks the promise that doc.go makes.
func wrong(r report) (found []string) {
	complain := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	lines := map[string][]int{} // of each job, in order
	last := map[worker]int{}    // the last line of each worker
	for i, res := range r.results {
		lines[res.Job] = append(lines[res.Job], i)
		last[res.Worker] = i
	}
	results := 0
	for _, j := range r.jobs {
		of := lines[j.Name]
		results += len(of)
		switch {
		case !j.Done:
			complain("%s is not recorded", j.Name)
			continue
		case len(of) == 0:
			complain("%s is recorded, and never done", j.Name)
			continue
		}
		if by := r.results[of[len(of)-1]].Worker; by != j.Worker {
			complain("%s is recorded by %v, and was done last by %v", j.Name, j.Worker, by)
		}
		for k, i := range of[:len(of)-1] {
			first, again := r.results[i], r.results[of[k+1]]
			before, killed := r.killed[first.Worker.PID]
			switch {
			case first.Token >= again.Token:
				complain("%s: the token goes from %d to %d", j.Name, first.Token, again.Token)
			case r.cutOff[first.Worker.PID]:
				// That explains it, too.
			case !killed:
				complain("%s was done by %v, who was not killed, and again by %v", j.Name, first.Worker, again.Worker)
			case last[first.Worker] != i:
				complain("%s was done by %v, who went on without recording it, and again by %v", j.Name, first.Worker, again.Worker)
			case of[k+1] < before:
				complain("%s was done by %v, and again by %v before the first was killed", j.Name, first.Worker, again.Worker)
			}
		}
	}
	if results != len(r.results) {
		complain("%d results are of %d jobs that nobody knows", len(r.results)-results, len(lines)-len(r.jobs))
	}
	return found
}
