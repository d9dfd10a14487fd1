package raftlead

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

var errDisk = errors.New("disk: write error")

// network carries what servers tell each other. It loses what is sent on a route that is cut,
// and delays what it is told to, in each direction by itself.
type network struct {
	// patience is how long a server waits for an answer.
	patience time.Duration
	// fast: heartbeats are handled beside the main loop of raft, as over TCP.
	fast bool
	// promptTransfers: raft's request to stand for election is never late, but lost.
	promptTransfers bool

	mu    sync.Mutex
	delay func(route) time.Duration // what a message takes on its way
	links map[raft.ServerAddress]*link
	cut   map[route]bool
}

type route struct{ from, to raft.ServerAddress }

func newNetwork() *network {
	return &network{
		patience: 500 * time.Millisecond,
		delay:    func(route) time.Duration { return 0 },
		links:    map[raft.ServerAddress]*link{},
		cut:      map[route]bool{},
	}
}

// link is the transport of one server.
type link struct {
	*raft.InmemTransport
	net       *network
	heartbeat func(raft.RPC)
	disk      *disk
	hold      atomic.Pointer[hold]

	mu       sync.Mutex
	answered map[raft.ServerID]time.Time // when the last was sent that was answered
	noVotes  bool                        // what this server asks for votes is lost
	late     time.Duration               // what a TimeoutNow takes besides
}

func (n *network) link(address raft.ServerAddress, d *disk) *link {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, inner := raft.NewInmemTransportWithTimeout(address, n.patience)
	l := &link{InmemTransport: inner, net: n, disk: d, answered: map[raft.ServerID]time.Time{}}
	for other, peer := range n.links {
		inner.Connect(other, peer.InmemTransport)
		peer.Connect(address, inner)
	}
	n.links[address] = l
	return l
}

// set cuts a route, or joins it.
func (n *network) set(r route, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[r] = cut
}

// slow sets what messages take on their way.
func (n *network) slow(delay func(route) time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.delay = delay
}

// cutOff cuts a server off from all others, in both directions.
func (n *network) cutOff(s *server) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for other := range n.links {
		n.cut[route{s.addr, other}] = true
		n.cut[route{other, s.addr}] = true
	}
}

// heal joins all routes.
func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cut)
}

// carry takes a message along a route, and says whether it arrived.
func (n *network) carry(r route) bool {
	n.mu.Lock()
	cut, delay := n.cut[r], n.delay
	n.mu.Unlock()
	if cut {
		return false
	}
	if d := delay(r); d > 0 {
		<-time.After(d)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.cut[r]
}

// send delivers a request and brings the answer back. One that is late is delivered all the
// same, also when the sender no longer waits.
func send[A any](l *link, to raft.ServerAddress, resp *A, call func(*A) error) error {
	answers := make(chan error, 1)
	answer := new(A)
	go func() {
		if !l.net.carry(route{l.LocalAddr(), to}) {
			return
		}
		err := call(answer)
		if l.net.carry(route{to, l.LocalAddr()}) {
			answers <- err
		}
	}()
	select {
	case err := <-answers:
		if err == nil {
			*resp = *answer
		}
		return err
	case <-time.After(l.net.patience):
		return fmt.Errorf("%s has not answered for %v", to, l.net.patience)
	}
}

func (l *link) AppendEntries(id raft.ServerID, to raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	request := *args // raft uses it again
	sent := time.Now()
	err := send(l, to, resp, func(resp *raft.AppendEntriesResponse) error {
		if beat := l.net.fastPath(to, &request); beat != nil {
			return beat(resp)
		}
		return l.InmemTransport.AppendEntries(id, to, &request, resp)
	})
	if err == nil && resp.Success {
		l.mu.Lock()
		defer l.mu.Unlock()
		if sent.After(l.answered[id]) {
			l.answered[id] = sent
		}
	}
	return err
}

// fastPath calls raft as its transport over TCP does for a heartbeat.
func (n *network) fastPath(to raft.ServerAddress, args *raft.AppendEntriesRequest) func(*raft.AppendEntriesResponse) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.fast || len(args.Entries) > 0 || args.PrevLogEntry != 0 || args.LeaderCommitIndex != 0 || n.links[to].heartbeat == nil {
		return nil
	}
	beat := n.links[to].heartbeat
	return func(resp *raft.AppendEntriesResponse) error {
		answers := make(chan raft.RPCResponse, 1)
		beat(raft.RPC{Command: args, RespChan: answers})
		select {
		case answer := <-answers:
			if answer.Error != nil {
				return answer.Error
			}
			*resp = *answer.Response.(*raft.AppendEntriesResponse)
			return nil
		default:
			return errors.New("was shut down")
		}
	}
}

// hold keeps raft within the next message that it handles.
type hold struct{ held, letGo chan struct{} }

// DecodePeer is called by raft after it has found a message's term to be right.
func (l *link) DecodePeer(peer []byte) raft.ServerAddress {
	if h := l.hold.Swap(nil); h != nil {
		close(h.held)
		<-h.letGo
	}
	return l.InmemTransport.DecodePeer(peer)
}

func (l *link) SetHeartbeatHandler(beat func(raft.RPC)) { l.heartbeat = beat }

func (l *link) RequestVote(id raft.ServerID, to raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	l.mu.Lock()
	noVotes := l.noVotes
	l.mu.Unlock()
	if noVotes {
		return errors.New("lost")
	}
	return send(l, to, resp, func(resp *raft.RequestVoteResponse) error {
		return l.InmemTransport.RequestVote(id, to, args, resp)
	})
}

func (l *link) RequestPreVote(id raft.ServerID, to raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return send(l, to, resp, func(resp *raft.RequestPreVoteResponse) error {
		return l.InmemTransport.RequestPreVote(id, to, args, resp)
	})
}

// TimeoutNow may have to be delivered now or never.
func (l *link) TimeoutNow(id raft.ServerID, to raft.ServerAddress, args *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	if l.net.promptTransfers && !l.net.reaches(l.LocalAddr(), to) {
		return errors.New("lost")
	}
	l.mu.Lock()
	late := l.late
	l.mu.Unlock()
	return send(l, to, resp, func(resp *raft.TimeoutNowResponse) error {
		if late > 0 {
			<-time.After(late)
		}
		return l.InmemTransport.TimeoutNow(id, to, args, resp)
	})
}

func (l *link) lateTransfers(late time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.late = late
}

// reaches says whether what is sent now will be handled at once.
func (n *network) reaches(from, to raft.ServerAddress) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := route{from, to}
	return !n.cut[r] && n.delay(r) < time.Millisecond && !n.links[to].disk.hangs()
}

func (l *link) InstallSnapshot(raft.ServerID, raft.ServerAddress, *raft.InstallSnapshotRequest, *raft.InstallSnapshotResponse, io.Reader) error {
	return errors.New("no snapshots")
}

// AppendEntriesPipeline is refused: what goes through a pipeline would not be seen here.
func (l *link) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

// answers is when requests were sent that were answered, by server.
func (l *link) answers() map[raft.ServerID]time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.answered)
}

// disk is a log that can hang, and fail.
type disk struct {
	*raft.InmemStore

	mu    sync.Mutex
	hung  chan struct{} // nil, or closed when it goes on
	fails bool          // the next write of a leader does
	leads func() bool
}

func newDisk() *disk { return &disk{InmemStore: raft.NewInmemStore()} }

// hang keeps all writes waiting, until goOn.
func (d *disk) hang() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hung == nil {
		d.hung = make(chan struct{})
	}
}

func (d *disk) goOn() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hung != nil {
		close(d.hung)
		d.hung = nil
	}
}

// fail makes the next write of a leader fail. Raft steps down then. A follower's writes do not
// fail: raft does not recover from that if it has truncated its log for it.
func (d *disk) fail() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fails = true
}

func (d *disk) hangs() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.hung != nil
}

func (d *disk) wait() {
	d.mu.Lock()
	hung := d.hung
	d.mu.Unlock()
	if hung != nil {
		<-hung
	}
}

func (d *disk) StoreLog(log *raft.Log) error { return d.StoreLogs([]*raft.Log{log}) }

func (d *disk) StoreLogs(logs []*raft.Log) error {
	d.wait()
	d.mu.Lock()
	fails := d.fails && d.leads()
	d.fails = d.fails && !fails
	d.mu.Unlock()
	if fails {
		return errDisk
	}
	return d.InmemStore.StoreLogs(logs)
}

func (d *disk) Set(key, value []byte) error {
	d.wait()
	return d.InmemStore.Set(key, value)
}

func (d *disk) SetUint64(key []byte, value uint64) error {
	d.wait()
	return d.InmemStore.SetUint64(key, value)
}
