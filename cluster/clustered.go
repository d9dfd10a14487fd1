package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
)

// leaveTimeout bounds the last commit of a node.
const leaveTimeout = 5 * time.Second

// Clustered is a Node over a store. It has two sessions: its record and its state hang on
// one, its leadership on the other.
type Clustered struct {
	*node
	root store.Store
}

var _ Node = (*Clustered)(nil)

// New returns a node of the cluster of a name, over st, which stays the caller's to close,
// after the node. The election of its leader has the name of the cluster; operators pause
// it, transfer it and so on as any other, and the node is called <name>/<id> there.
//
// Errors: tenure.ErrInvalid.
func New(st store.Store, name, id string, opts Options) (*Clustered, error) {
	n, err := newClustered(st, name, id, opts)
	if err != nil {
		return nil, &Error{Op: "new node", Cluster: name, Err: err}
	}
	return n, nil
}

func newClustered(st store.Store, name, id string, opts Options) (*Clustered, error) {
	if st == nil {
		return nil, invalid("nil store; open one first, or use NewStandalone")
	}
	if err := errors.Join(checkName("cluster name", name, MaxName), checkName("node id", id, MaxName)); err != nil {
		return nil, err
	}
	opts, err := opts.withDefaults(st.Capabilities())
	if err != nil {
		return nil, err
	}
	c := &Clustered{node: newNode(name, id, opts), root: st}
	c.open = c.join
	return c, nil
}

// membership is what a run of a clustered node consists of.
type membership struct {
	r          *run
	member     *tenure.Member // whose session the record and the state hang on
	leadership *tenure.Member // who campaigns; nil: nobody does

	pub    *publisher
	ctx    context.Context // of the publisher
	cancel context.CancelFunc
}

// join opens a run.
func (c *Clustered) join(ctx context.Context, r *run) (err error) {
	r.view = NewView(c.root, c.cluster)
	r.view.report = func(err error) { r.notes.trouble("watch", err) }
	m := &membership{r: r}
	m.member, err = tenure.Join(ctx, r.view.st, c.opts.membership(c.id))
	if err != nil {
		return err
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.pub = newPublisher(r.view.st, newRecord(c.id, c.opts), c.opts.NodeTTL, r.notes)
	r.state, r.parts = m.pub, m
	go m.publish()
	if err := m.appear(ctx); err != nil {
		m.leave()
		return err
	}
	r.wg.Go(m.follow)
	r.wg.Go(m.observe)
	if m.leadership != nil {
		r.roles.wg.Go(m.campaign)
	}
	return nil
}

// appear makes the node known, and able to campaign if it may.
func (m *membership) appear(ctx context.Context) error {
	first, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	err := m.pub.write(first, func(*record) {})
	if n := m.r.n; err == nil && !n.opts.NeverLead {
		m.leadership, err = tenure.Join(ctx, m.r.view.root, n.opts.leadership(n.cluster, n.id))
	}
	return err
}

// publish runs the publisher. A member that can have no more sessions ends the run.
func (m *membership) publish() {
	if err := m.pub.run(m.ctx, m.member); m.ctx.Err() == nil {
		m.r.shut(err)
	}
}

// campaign leads whenever it can.
func (m *membership) campaign() {
	s, c := m.r.roles, m.r.n.opts.Campaign
	err := m.leadership.Lead(s.ctx, m.r.n.cluster, s.lead, tenure.LeadOptions{
		Priority: c.Priority, PreemptAfter: c.PreemptAfter, Policy: c.Policy, Health: c.Health, If: c.If,
		DrainTimeout: m.r.n.opts.DrainTimeout, Requeue: true, Retry: true,
	})
	if s.ctx.Err() == nil {
		m.r.shut(err)
	}
}

// observe keeps an eye on who leads.
func (m *membership) observe() {
	for m.r.ctx.Err() == nil {
		for ev, err := range tenure.NewView(m.r.view.root, m.r.n.cluster).Observe(m.r.ctx) {
			switch {
			case err != nil && m.r.ctx.Err() == nil:
				m.r.notes.trouble("observe", err)
			case ev.Kind == tenure.Elected:
				m.r.roles.sees(m.r.view.nodeOf(ev.Leader.Member), ev.Leader.Token)
			case ev.Kind == tenure.Vacant:
				m.r.roles.sees("", 0)
			}
		}
		m.pause()
	}
}

// follow keeps an eye on the records: the node's own, which nobody else should touch
// without being heard, and those of nodes with another tick.
func (m *membership) follow() {
	odd := map[string]string{} // the incarnation of each node with another tick
	for batch, err := range store.Follow(m.r.ctx, m.r.view.st, nodesPrefix, m.r.view.report) {
		if err != nil {
			if m.r.ctx.Err() == nil {
				m.r.notes.trouble("watch", err)
			}
			return
		}
		for i := range batch.Events {
			e := &batch.Events[i].Entry
			id := nodeOf(e.Key)
			switch r, err := decode(e); {
			case id == m.r.n.id:
				m.pub.saw(e.Modified)
			case batch.Events[i].Deleted:
				delete(odd, id)
			case err == nil && r.Tick != m.r.n.opts.Tick && odd[id] != r.Incarnation:
				odd[id] = r.Incarnation
				m.r.notes.tickDiffers(r.info(e.Modified))
			}
		}
	}
}

// pause waits a little, or for the end of the run.
func (m *membership) pause() {
	timer := time.NewTimer(retryMax)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-m.r.ctx.Done():
	}
}

func (m *membership) drain() error {
	return m.r.roles.drain(func() error {
		if m.leadership == nil {
			return nil
		}
		return m.leadership.Close()
	})
}

// leave says that the node leaves, so that nobody takes it for one that died, and then
// takes away all that it has published, in one commit.
func (m *membership) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), min(m.r.n.opts.NodeTTL, leaveTimeout))
	defer cancel()
	if err := m.pub.write(ctx, func(r *record) { r.Leaving = true }); err != nil {
		m.r.notes.trouble("leave", err)
	}
	m.cancel()
	<-m.pub.ended
	_ = m.member.Close() // it leads nothing, so that nothing can overrun
}

func (m *membership) healthy() error {
	if err := m.member.Healthy(); err != nil {
		return err
	}
	if !m.pub.isAlive() {
		return tenure.ErrSessionExpired
	}
	return nil
}
