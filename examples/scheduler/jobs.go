package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
)

// job is one job as the store had it at a revision.
type job struct {
	Name     string
	Revision store.Revision
	record
}

// record is what the store keeps of a job: who has taken it, and whether that is done. The
// zero record is that of a job that waits.
type record struct {
	Worker worker
	Done   bool
}

// worker is one start of a node: its next one, of the same name, is another worker.
type worker struct {
	Node        string
	Incarnation string
	PID         int // for people; pids are used again
}

// jobs are the records of all jobs. Nothing of it hangs on a session.
type jobs struct{ st store.Store }

func jobsIn(st store.Store) jobs { return jobs{store.Sub(tenure.Data(st), "scheduler/jobs/")} }

// requestTimeout bounds each request to the store.
const requestTimeout = 5 * time.Second

// add makes so many jobs, unless they are there.
func (j jobs) add(ctx context.Context, n int) error {
	value, err := json.Marshal(record{})
	if err != nil {
		return err
	}
	for i := range n {
		name := fmt.Sprintf("job-%04d", i+1)
		if _, err := j.commit(ctx, store.Absent(name), store.Put(name, value, store.NoLease)); err != nil {
			return fmt.Errorf("add %s: %w", name, err)
		}
	}
	return nil
}

// list reads all jobs, sorted by name.
func (j jobs) list(ctx context.Context) ([]job, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	l, err := j.st.List(ctx, store.Prefix(""))
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	all := make([]job, len(l.Entries))
	for i, e := range l.Entries {
		all[i] = job{Name: e.Key, Revision: e.Modified}
		if err := json.Unmarshal(e.Value, &all[i].record); err != nil {
			return nil, fmt.Errorf("list jobs: %s: %w", e.Key, err)
		}
	}
	return all, nil
}

// errChanged: the job is not any more what it was when it was read.
var errChanged = errors.New("the job has changed")

// change gives a job another record, if it still is as it was read, and returns it as it
// is then. After another error than errChanged it may be changed, or not, or be so later.
func (j jobs) change(ctx context.Context, from job, to record) (job, error) {
	value, err := json.Marshal(to)
	if err != nil {
		return job{}, err
	}
	res, err := j.commit(ctx, store.ModifiedAt(from.Name, from.Revision), store.Put(from.Name, value, store.NoLease))
	switch {
	case err != nil:
		return job{}, fmt.Errorf("change %s: %w", from.Name, err)
	case !res.Committed:
		return job{}, fmt.Errorf("change %s: %w", from.Name, errChanged)
	}
	return job{Name: from.Name, Revision: res.Revision, record: to}, nil
}

func (j jobs) commit(ctx context.Context, cond store.Cond, op store.Op) (store.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return j.st.Commit(ctx, store.Tx{If: []store.Cond{cond}, Then: []store.Op{op}})
}
