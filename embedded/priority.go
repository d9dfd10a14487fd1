package embedded

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// priorities is where servers keep theirs, outside of the keys of any store.
const priorities = "tenure.servers/priority/"

// SetPriority changes with what priority this server wants to be etcd's leader, from now
// on and until its next start, at which Config.Priority counts again. Servers look every
// 10 election timeouts, and have the leader come to them from one of a lower priority; but
// not again within 5 minutes, unless SetPriority is called. Errors: those of etcd and of
// ctx.
func (s *Server) SetPriority(ctx context.Context, priority int) error {
	if err := context.Cause(s.ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.raft().RequestTimeout())
	defer cancel()
	key := priorities + s.conf.Name
	var err error
	if priority == 0 {
		_, err = s.own.Delete(ctx, key)
	} else {
		_, err = s.own.Put(ctx, key, strconv.Itoa(priority))
	}
	if err != nil {
		return fmt.Errorf("set the priority of server %q: %w", s.conf.Name, err)
	}
	s.beside.mu.Lock()
	defer s.beside.mu.Unlock()
	s.beside.settled, s.beside.modest = true, time.Time{}
	return nil
}

// settle lets the others know the priority of the configuration, once. Where that
// cannot be done when the server starts, it is done later.
func (b *beside) settle() {
	b.mu.Lock()
	settled := b.settled
	b.mu.Unlock()
	if settled {
		return
	}
	if err := b.s.SetPriority(b.s.ctx, b.s.conf.Priority); err != nil && b.s.ctx.Err() == nil {
		b.s.conf.Logger.Warn("the priority is not set yet", "server", b.s.conf.Name, "error", err)
	}
}

// outranks reports whether this server has a higher priority than etcd's leader, and may
// claim it. What cannot be read now is looked at again.
func (b *beside) outranks() bool {
	lead := b.s.Leader()
	if lead == "" || lead == b.s.conf.Name || b.isModest() {
		return false
	}
	ctx, cancel := context.WithTimeout(b.s.ctx, b.s.raft().RequestTimeout())
	defer cancel()
	all, err := b.s.own.Get(ctx, priorities, clientv3.WithPrefix())
	if err != nil {
		return false
	}
	of := map[string]int{}
	for _, kv := range all.Kvs {
		of[strings.TrimPrefix(string(kv.Key), priorities)], _ = strconv.Atoi(string(kv.Value)) // 0 if it is none
	}
	return of[b.s.conf.Name] > of[lead]
}
