package clustertest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cluster"
	"github.com/tenure-go/tenure/store"
)

// oneChecks hold for a node that is alone, of either kind.
var oneChecks = []check{
	{"one/life", "Start, Stop, Start again, Close for ever; each error names the state.", life},
	{"one/close-unstarted", "A node that never ran is closed at once, and for ever.", closeUnstarted},
	{"one/self", "A node's record is what others read of it, with its role.", self},
	{"one/tags", "Tags that are set are seen, and told to who watches.", tags},
	{"one/state", "Absent, empty and full values can be told apart, and a delete is no error where there is nothing.", state},
	{"one/value-is-copied", "What a caller does with a value after Put, or with one it got, changes nothing.", valueIsCopied},
	{"one/keys", "Any UTF-8 is a key; no key lies under another; prefixes are those of the key as it was put.", keys},
	{"one/limits", "What is too long, or cannot be, is refused with the limit, and changes nothing.", limits},
	{"one/watch", "A watch tells the present state, then each change with the old and the new value.", watchOne},
	{"one/watch-same", "Putting the value that is there is no change.", watchSame},
	{"one/watch-ends", "A watch ends with an error when its node stops.", watchEnds},
	{"one/leader", "A node that is alone leads, and both ways of asking say so.", leader},
	{"one/routine", "The leader's routine runs on its tick, in a term that is held.", routine},
	{"one/routine-fails", "An error and a panic of a routine are reported, and it is called again.", routineFails},
	{"one/routine-exits", "A routine that leaves its goroutine is reported, and called again.", routineExits},
	{"one/drain", "Stop cancels the routine's context, and waits for it; what it publishes then is published.", drain},
	{"one/overrun", "A routine that does not return is reported, Stop says so, and no other begins beside it.", overrun},
	{"one/state-ends", "State ends with Stop: after another Start there is none.", stateEnds},
	{"one/concurrent", "Calls from many goroutines lose nothing.", concurrent},
}

func life(e *env) {
	n := e.node("n", cluster.Options{})
	e.check(errors.Is(n.Healthy(), cluster.ErrStopped), "healthy before Start: %v", n.Healthy())
	e.check(errors.Is(n.Put(e.ctx, "k", nil), cluster.ErrStopped), "put before Start")
	for range 3 {
		e.ok(n.Stop(e.ctx))
		e.ok(n.Start(e.ctx))
		e.ok(n.Healthy())
		e.check(errors.Is(n.Start(e.ctx), cluster.ErrRunning), "started twice")
		e.ok(n.Put(e.ctx, "k", []byte("v")))
		e.ok(n.Stop(e.ctx))
		_, _, err := n.Get(e.ctx, "k")
		e.check(errors.Is(err, cluster.ErrStopped), "get after Stop: %v", err)
		e.check(errors.Is(n.Healthy(), cluster.ErrStopped), "healthy after Stop: %v", n.Healthy())
	}
	e.ok(n.Start(e.ctx))
	e.ok(n.Close())
	e.ok(n.Close())
	e.ok(n.Stop(e.ctx))
	e.check(errors.Is(n.Start(e.ctx), cluster.ErrClosed), "started after Close")
	_, err := n.Nodes(e.ctx)
	e.check(errors.Is(err, cluster.ErrClosed), "nodes after Close: %v", err)
	e.check(errors.Is(n.Healthy(), cluster.ErrClosed), "healthy after Close: %v", n.Healthy())
}

func closeUnstarted(e *env) {
	n := e.node("n", cluster.Options{})
	e.ok(n.Close())
	e.check(errors.Is(n.Start(e.ctx), cluster.ErrClosed), "started after Close")
}

func self(e *env) {
	opts := cluster.Options{Endpoint: "127.0.0.1:80", Version: "v2", Tags: map[string]string{"zone": "a"}}
	n := e.start("n/1", opts)
	e.leads(n)
	nodes, err := n.Nodes(e.ctx)
	e.ok(err)
	e.check(len(nodes) == 1, "%d nodes", len(nodes))
	one, ok, err := n.Node(e.ctx, "n/1")
	e.ok(err)
	e.check(ok, "no such node")
	for _, got := range []cluster.Info{nodes[0], one, n.Self()} {
		e.check(got.ID == "n/1" && got.Endpoint == opts.Endpoint && got.Version == "v2" && got.Tags["zone"] == "a" &&
			got.Role == cluster.Leader && !got.Started.IsZero() && got.Incarnation != "" && got.Tick == cluster.DefaultTick, "got %+v", got)
	}
	e.check(nodes[0].Incarnation == n.Self().Incarnation && nodes[0].Revision > 0, "got %+v and %+v", nodes[0], n.Self())
	_, ok, err = n.Node(e.ctx, "another")
	e.ok(err)
	e.check(!ok, "there is another")
	e.ok(n.Stop(e.ctx))
	e.ok(n.Start(e.ctx))
	e.check(n.Self().Incarnation != one.Incarnation, "another start has the same incarnation")
}

func tags(e *env) {
	n := e.start("n", cluster.Options{Tags: map[string]string{"a": "1"}})
	e.leads(n)
	s := watch(e, n.WatchNodes)
	e.expectNodes(s, "present n", "ready ")
	e.ok(n.SetTags(e.ctx, map[string]string{"a": "2"}))
	ev := s.take()
	e.check(ev.Kind == cluster.NodeChanged && ev.Old.Tags["a"] == "1" && ev.Node.Tags["a"] == "2", "got %+v", ev)
	e.check(n.Self().Tags["a"] == "2", "got %v", n.Self().Tags)
	e.ok(n.Stop(e.ctx))
}

func state(e *env) {
	n := e.start("n", cluster.Options{})
	absent := func(key string) {
		value, ok, err := n.Get(e.ctx, key)
		e.ok(err)
		e.check(!ok && value == nil, "%q is there: %q", key, value)
	}
	has := func(key, want string) {
		value, ok, err := n.Get(e.ctx, key)
		e.ok(err)
		e.check(ok && string(value) == want, "%q: got %q, %v; want %q", key, value, ok, want)
		value, ok, err = n.GetFrom(e.ctx, "n", key)
		e.ok(err)
		e.check(ok && string(value) == want, "from n, %q: got %q, %v; want %q", key, value, ok, want)
	}
	absent("k")
	e.ok(n.Delete(e.ctx, "k"))
	e.ok(n.Put(e.ctx, "k", nil))
	has("k", "")
	e.ok(n.Put(e.ctx, "k", []byte("one")))
	has("k", "one")
	e.ok(n.Put(e.ctx, "k", []byte{}))
	has("k", "")
	absent("k2")
	all, err := n.GetAll(e.ctx, "k")
	e.ok(err)
	e.check(len(all) == 1 && len(all["n"]) == 1 && all["n"][0].Key == "k" && all["n"][0].Node == "n" && all["n"][0].Revision > 0, "got %+v", all)
	all, err = n.GetAll(e.ctx, "k2")
	e.ok(err)
	values, listed := all["n"]
	e.check(listed && len(values) == 0, "got %+v", all)
	e.ok(n.Delete(e.ctx, "k"))
	absent("k")
	_, _, err = n.GetFrom(e.ctx, "nobody", "k")
	e.check(errors.Is(err, cluster.ErrNoNode), "from nobody: %v", err)
}

func valueIsCopied(e *env) {
	n := e.start("n", cluster.Options{})
	value := []byte("one")
	e.ok(n.Put(e.ctx, "k", value))
	value[0] = 'X'
	got, _, err := n.Get(e.ctx, "k")
	e.ok(err)
	e.check(string(got) == "one", "got %q", got)
	got[0] = 'Y'
	got, _, err = n.Get(e.ctx, "k")
	e.ok(err)
	e.check(string(got) == "one", "got %q", got)
}

func keys(e *env) {
	n := e.start("n", cluster.Options{})
	all := []string{"a", "a/", "a/b", "a%", "a%2Fb", "/", "ä", "a b", "b"}
	for _, key := range all {
		e.ok(n.Put(e.ctx, key, []byte(key)))
	}
	for _, key := range all {
		got, err := n.GetAll(e.ctx, key)
		e.ok(err)
		e.check(len(got["n"]) == 1 && string(got["n"][0].Data) == key && got["n"][0].Key == key, "%q: got %+v", key, got)
	}
	for _, prefix := range append(all, "", "a/b/", "c") {
		got, err := n.GetAllPrefix(e.ctx, prefix)
		e.ok(err)
		want := 0
		for _, key := range all {
			if strings.HasPrefix(key, prefix) {
				want++
			}
		}
		e.check(len(got["n"]) == want, "prefix %q: got %+v, want %d", prefix, got, want)
		for _, value := range got["n"] {
			e.check(strings.HasPrefix(value.Key, prefix) && string(value.Data) == value.Key, "prefix %q: got %+v", prefix, value)
		}
	}
}

func limits(e *env) {
	n := e.start("n", cluster.Options{})
	for _, key := range []string{"", "\x00", "\xff", strings.Repeat("k", cluster.MaxKey+1)} {
		err := n.Put(e.ctx, key, nil)
		e.check(errors.Is(err, tenure.ErrInvalid), "put %.10q: %v", key, err)
		_, _, err = n.Get(e.ctx, key)
		e.check(errors.Is(err, tenure.ErrInvalid), "get %.10q: %v", key, err)
		e.check(errors.Is(n.Delete(e.ctx, key), tenure.ErrInvalid), "delete %.10q", key)
		_, err = n.GetAll(e.ctx, key)
		e.check(errors.Is(err, tenure.ErrInvalid), "get all %.10q: %v", key, err)
		end := watch(e, func(ctx context.Context) iter.Seq2[cluster.Event, error] { return n.Watch(ctx, key) }).end()
		e.check(errors.Is(end.err, tenure.ErrInvalid), "watch %.10q: %v", key, end.err)
	}
	longest := strings.Repeat("/", cluster.MaxKey)
	big := []byte(strings.Repeat("v", cluster.MaxValue))
	e.ok(n.Put(e.ctx, longest, big))
	err := n.Put(e.ctx, longest, append(big, 'v'))
	e.check(errors.Is(err, store.ErrTooLarge) && strings.Contains(err.Error(), fmt.Sprint(cluster.MaxValue)), "too large: %v", err)
	got, _, err := n.Get(e.ctx, longest)
	e.ok(err)
	e.check(len(got) == cluster.MaxValue, "got %d bytes", len(got))
	err = n.SetTags(e.ctx, map[string]string{"t": strings.Repeat("v", cluster.MaxRecord)})
	e.check(errors.Is(err, tenure.ErrInvalid), "tags: %v", err)
}

func watchOne(e *env) {
	n := e.start("n", cluster.Options{})
	e.ok(n.Put(e.ctx, "k", []byte("1")))
	e.ok(n.Put(e.ctx, "k/other", []byte("other")))
	key := watch(e, func(ctx context.Context) iter.Seq2[cluster.Event, error] { return n.Watch(ctx, "k") })
	e.expect(key, `present n k: "1"`, "ready")
	prefix := watch(e, func(ctx context.Context) iter.Seq2[cluster.Event, error] { return n.WatchPrefix(ctx, "k") })
	e.expect(prefix, `present n k: "1"`, `present n k/other: "other"`, "ready")
	empty := watch(e, func(ctx context.Context) iter.Seq2[cluster.Event, error] { return n.Watch(ctx, "empty") })
	e.expect(empty, "ready")
	e.ok(n.Put(e.ctx, "k", []byte("2")))
	e.ok(n.Put(e.ctx, "empty", nil))
	e.ok(n.Delete(e.ctx, "k"))
	e.ok(n.Put(e.ctx, "k", []byte("3")))
	e.ok(n.Delete(e.ctx, "empty"))
	e.expect(key, `modified n k: "1" to "2"`, `deleted n k: "2"`, `added n k: "3"`)
	e.expect(prefix, `modified n k: "1" to "2"`, `deleted n k: "2"`, `added n k: "3"`)
	e.expect(empty, `added n empty: ""`, `deleted n empty: ""`)
}

func watchSame(e *env) {
	n := e.start("n", cluster.Options{})
	e.ok(n.Put(e.ctx, "k", []byte("1")))
	s := watch(e, func(ctx context.Context) iter.Seq2[cluster.Event, error] { return n.Watch(ctx, "k") })
	e.expect(s, `present n k: "1"`, "ready")
	e.ok(n.Put(e.ctx, "k", []byte("1")))
	e.ok(n.Put(e.ctx, "k", []byte("2")))
	e.expect(s, `modified n k: "1" to "2"`)
}

func watchEnds(e *env) {
	n := e.start("n", cluster.Options{})
	s := watch(e, func(ctx context.Context) iter.Seq2[cluster.Event, error] { return n.Watch(ctx, "k") })
	e.expect(s, "ready")
	nodes := watch(e, n.WatchNodes)
	e.expectNodes(nodes, "present n", "ready ")
	e.ok(n.Stop(e.ctx))
	end := s.end()
	e.check(errors.Is(end.err, cluster.ErrStopped), "the watch ended with %v", end.err)
	for {
		end := nodes.end()
		if end.err != nil {
			e.check(errors.Is(end.err, cluster.ErrStopped), "the watch of nodes ended with %v", end.err)
			break
		}
	}
	e.ok(n.Close())
	late := watch(e, n.WatchNodes).end()
	e.check(errors.Is(late.err, cluster.ErrClosed), "a watch after Close: %v", late.err)
}

func leader(e *env) {
	n := e.start("n", cluster.Options{})
	e.leads(n)
	e.await("it is seen to lead", func() (bool, error) {
		id, ok := n.Leader()
		return ok && id == "n", nil
	})
	id, ok, err := n.ReadLeader(e.ctx)
	e.ok(err)
	e.check(ok && id == "n", "the leader is %q, %v", id, ok)
}

func routine(e *env) {
	var calls atomic.Int32
	var wrong atomic.Bool
	n := e.start("n", cluster.Options{Tick: time.Millisecond, Leader: func(ctx context.Context, t tenure.Term) error {
		if !t.Held() || t.Token() == 0 || t.Cause() != nil || ctx.Err() != nil {
			wrong.Store(true)
		}
		calls.Add(1)
		return nil
	}})
	e.await("ten calls", func() (bool, error) { return calls.Load() >= 10, nil })
	e.check(!wrong.Load(), "a routine ran in a term that is not held")
	e.ok(n.Stop(e.ctx))
	after := calls.Load()
	e.ok(n.Start(e.ctx))
	e.await("calls after another Start", func() (bool, error) { return calls.Load() > after, nil })
}

func routineFails(e *env) {
	broken := errors.New("broken")
	var calls atomic.Int32
	reported := make(chan error, 100)
	e.start("n", cluster.Options{
		Tick: time.Millisecond,
		Leader: func(context.Context, tenure.Term) error {
			switch calls.Add(1) {
			case 1:
				return broken
			case 2:
				panic("oh")
			}
			return nil
		},
		Trace: &cluster.Trace{Routine: func(i cluster.RoutineInfo) {
			select {
			case reported <- i.Err:
			default:
			}
		}},
	})
	e.check(errors.Is(receive(e, reported), broken), "the error is not reported")
	var p *tenure.PanicError
	e.check(errors.As(receive(e, reported), &p) && p.Value == "oh" && len(p.Stack) > 0, "the panic is not reported: %v", p)
	e.ok(receive(e, reported))
}

func routineExits(e *env) {
	var calls atomic.Int32
	reported := make(chan error, 100)
	e.start("n", cluster.Options{
		Tick: time.Millisecond,
		Leader: func(context.Context, tenure.Term) error {
			if calls.Add(1) == 1 {
				runtime.Goexit()
			}
			return nil
		},
		Trace: &cluster.Trace{Routine: func(i cluster.RoutineInfo) {
			select {
			case reported <- i.Err:
			default:
			}
		}},
	})
	var p *tenure.PanicError
	e.check(errors.As(receive(e, reported), &p) && p.Value == nil, "not reported: %v", p)
	e.ok(receive(e, reported))
}

func drain(e *env) {
	began := make(chan struct{})
	var once sync.Once
	var n cluster.Node
	var late error
	var cause error
	n = e.node("n", cluster.Options{Leader: func(ctx context.Context, _ tenure.Term) error {
		once.Do(func() { close(began) })
		<-ctx.Done()
		cause = context.Cause(ctx)
		late = n.Put(e.ctx, "last", []byte("word"))
		return nil
	}})
	e.ok(n.Start(e.ctx))
	receive(e, began)
	e.ok(n.Stop(e.ctx))
	e.ok(late)
	e.check(errors.Is(cause, cluster.ErrStopped), "the context ended because of %v", cause)
}

func overrun(e *env) {
	hang, began := make(chan struct{}), make(chan struct{}, 10)
	var running, most atomic.Int32
	told := make(chan cluster.Role, 10)
	n := e.node("n", cluster.Options{
		DrainTimeout: 20 * time.Millisecond,
		Leader: func(context.Context, tenure.Term) error {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			began <- struct{}{}
			<-hang
			return nil
		},
		Trace: &cluster.Trace{Overrun: func(role cluster.Role, _ time.Duration) { told <- role }},
	})
	e.ok(n.Start(e.ctx))
	receive(e, began)
	err := n.Stop(e.ctx)
	e.check(errors.Is(err, tenure.ErrDrainTimeout), "stop: %v", err)
	e.check(receive(e, told) == cluster.Leader, "another role was told")
	e.ok(n.Start(e.ctx))
	e.ok(n.Put(e.ctx, "k", nil))
	e.check(most.Load() == 1, "a routine began beside another")
	close(hang)
	receive(e, began)
	e.check(most.Load() == 1, "%d routines at a time", most.Load())
}

func stateEnds(e *env) {
	n := e.start("n", cluster.Options{})
	e.ok(n.Put(e.ctx, "k", []byte("v")))
	e.ok(n.Stop(e.ctx))
	e.ok(n.Start(e.ctx))
	_, ok, err := n.Get(e.ctx, "k")
	e.ok(err)
	e.check(!ok, "the state outlived its run")
}

func concurrent(e *env) {
	n := e.start("n", cluster.Options{})
	s := watch(e, func(ctx context.Context) iter.Seq2[cluster.Event, error] { return n.WatchPrefix(ctx, "") })
	e.expect(s, "ready")
	const writers, writes = 10, 20
	var wg sync.WaitGroup
	errs := make(chan error, writers)
	for w := range writers {
		wg.Go(func() {
			for i := range writes {
				if err := n.Put(e.ctx, fmt.Sprint(w), fmt.Append(nil, i)); err != nil {
					errs <- err
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		e.ok(err)
	default:
	}
	all, err := n.GetAllPrefix(e.ctx, "")
	e.ok(err)
	e.check(len(all["n"]) == writers, "%d keys", len(all["n"]))
	for _, v := range all["n"] {
		e.check(string(v.Data) == fmt.Sprint(writes-1), "got %+v", v)
	}
	next := map[string]int{}
	for range writers * writes {
		ev := s.take()
		e.check(string(ev.Value) == fmt.Sprint(next[ev.Key]), "got %s, want the value %d", told(ev), next[ev.Key])
		next[ev.Key]++
	}
}
