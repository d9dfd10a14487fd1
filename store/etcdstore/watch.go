package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tenure-go/tenure/store"
)

// errLeft says that the consumer of a watch wants no more.
var errLeft = errors.New("left")

// Watch implements store.Store. Each watch is a stream of its own, read as the
// consumer asks for more: one that is slow makes the server wait, and costs no
// memory here.
func (s *Store) Watch(ctx context.Context, prefix string, after store.Revision) iter.Seq2[store.Changes, error] {
	return func(yield func(store.Changes, error) bool) {
		err := s.watch(ctx, prefix, max(after, 0), func(ch store.Changes) error {
			if !yield(ch, nil) {
				return errLeft
			}
			return nil
		})
		if !errors.Is(err, errLeft) {
			yield(store.Changes{}, err)
		}
	}
}

func (s *Store) watch(caller context.Context, prefix string, after store.Revision, tell func(store.Changes) error) error {
	ctx, end, opts, err := s.begin(caller)
	if err != nil {
		return err
	}
	defer end()
	ctx, silence := context.WithCancelCause(ctx)
	defer silence(nil)
	p := &pulse{quiet: s.quiet, silence: silence}
	defer p.stop()
	fail := func(err error) error {
		if caller.Err() == nil && errors.Is(context.Cause(ctx), errSilent) {
			return unavailable("watch: the server gave no sign of life for %v", 2*s.quiet)
		}
		return s.fail(caller, err, "watch")
	}

	p.listen()
	stream, err := s.watches.Watch(ctx, opts...)
	if err != nil {
		return fail(err)
	}
	_ = stream.Send(s.watchRequest(prefix, after)) // should it fail, Recv says why
	p.opened(stream)
	for upto := after; ; {
		p.listen()
		res, err := stream.Recv()
		p.stop()
		if err == nil {
			err = refusal(res)
		}
		if err != nil {
			return fail(err)
		}
		for _, ch := range s.changes(res, upto) {
			if s.isClosed() {
				return errClosed
			}
			if err := caller.Err(); err != nil {
				return err
			}
			upto = ch.Revision
			if err := tell(ch); err != nil {
				return err
			}
		}
	}
}

// watchRequest asks for what happened at a revision and after. The events at that
// revision itself are dropped: etcd tells nobody that it is alive who
// watches from a revision that is not there yet, and says that history is compacted
// only of what lies below the revision that was compacted.
func (s *Store) watchRequest(prefix string, after store.Revision) *pb.WatchRequest {
	prefix = s.prefix + prefix
	return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{
		Key:            []byte(prefix),
		RangeEnd:       []byte(clientv3.GetPrefixRangeEnd(prefix)),
		StartRevision:  int64(max(after, 1)),
		ProgressNotify: true,
	}}}
}

// refusal is why the server ends the watch.
func refusal(res *pb.WatchResponse) error {
	switch {
	case res.GetCompactRevision() != 0:
		return status.Error(codes.OutOfRange, "etcdserver: mvcc: required revision has been compacted")
	case res.GetCanceled():
		// The reason is the text of an error, with its code in front.
		reason := res.GetCancelReason()
		var code, text string
		if _, err := fmt.Sscanf(reason, "rpc error: code = %s desc = ", &code); err == nil {
			text = reason[len("rpc error: code =  desc = ")+len(code):]
		} else {
			text = reason
		}
		return status.Error(codes.FailedPrecondition, text)
	}
	return nil
}

// changes returns what a response tells beyond a revision, one element for each
// revision. A response never holds a part of one.
func (s *Store) changes(res *pb.WatchResponse, upto store.Revision) []store.Changes {
	rev := store.Revision(res.GetHeader().GetRevision())
	if len(res.GetEvents()) == 0 {
		if res.GetCreated() || rev < upto {
			return nil
		}
		return []store.Changes{{Revision: rev}} // all up to there was sent
	}
	var all []store.Changes
	for _, ev := range res.GetEvents() {
		e := store.Event{Entry: s.entry(ev.GetKv())}
		if e.Entry.Modified <= upto {
			continue
		}
		if ev.GetType() == mvccpb.Event_DELETE {
			e = store.Event{Deleted: true, Entry: store.Entry{Key: e.Entry.Key, Modified: e.Entry.Modified}}
		}
		if n := len(all); n == 0 || all[n-1].Revision != e.Entry.Modified {
			all = append(all, store.Changes{Revision: e.Entry.Modified})
		}
		last := &all[len(all)-1]
		last.Events = append(last.Events, e)
	}
	return all
}

var errSilent = errors.New("no sign of life")

// pulse ends a watch whose server has fallen silent, after it has asked it for a
// sign of life. Connections to a server that is stopped, or cut off, stay open.
type pulse struct {
	quiet   time.Duration
	silence context.CancelCauseFunc

	mu     sync.Mutex
	stream pb.Watch_WatchClient // nil before it is open
	timer  *time.Timer
	wait   int // counts the waits: a timer of an earlier one means nothing
	asked  bool
}

// listen begins to wait for a message, or for the stream to open.
func (p *pulse) listen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = false
	p.start()
}

func (p *pulse) start() {
	wait := p.wait
	p.timer = time.AfterFunc(p.quiet, func() { p.beat(wait) })
}

// beat asks the first time, and gives up the second.
func (p *pulse) beat(wait int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case wait != p.wait: // it was too late to stop the timer
	case p.asked || p.stream == nil:
		p.silence(errSilent)
	default:
		p.asked = true
		_ = p.stream.Send(askProgress) // should it fail, Recv says why
		p.start()
	}
}

var askProgress = &pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}}

// opened takes the stream, to which nobody else sends from now on.
func (p *pulse) opened(stream pb.Watch_WatchClient) {
	p.stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stream = stream
}

// stop ends the wait.
func (p *pulse) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wait++
	if p.timer != nil {
		p.timer.Stop()
	}
}
