package embedded

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
)

// checkKnown compares the peers of the configuration with the cluster that the data
// are of. Servers may have come and gone since the list was written, but one that shares
// no other server with it is a mistake: a server that was alone would go on alone, beside
// the cluster that it was meant for.
func (s *Server) checkKnown() error {
	if s.dir.fresh {
		return nil
	}
	known, err := s.dir.members()
	if err != nil || len(known) == 0 || len(s.conf.Peers) < 2 { // it did not get far, or was told of no others
		return err
	}
	for _, m := range known {
		if m.Name == s.conf.Name {
			continue
		}
		if slices.Contains(m.PeerURLs, s.conf.PeerTLS.url(s.conf.Peers[m.Name]).String()) {
			return nil
		}
	}
	return fmt.Errorf("%w: data directory %s is of a cluster of %s, and the peers are %s; choose the directory, or the peers, of the other, or have new servers join this one",
		ErrOtherCluster, s.conf.Dir, list(known), sortedNames(s.conf.Peers))
}

// members reads the servers of the cluster from etcd's database.
func (d *dir) members() (all []*membership.Member, err error) {
	file := filepath.Join(d.path, "member", "snap", "db")
	defer func() {
		if p := recover(); p != nil { // what bbolt does about pages that are none
			err = d.damaged(fmt.Errorf("%s: %v", file, p))
		}
	}()
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, d.damaged(fmt.Errorf("%s: %w", file, err))
	}
	err = db.View(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket([]byte("members"))
		if bucket == nil {
			return nil
		}
		return bucket.ForEach(func(_, value []byte) error {
			m := new(membership.Member)
			all = append(all, m)
			return json.Unmarshal(value, m)
		})
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return nil, d.damaged(fmt.Errorf("%s: %w", file, err))
	}
	return all, nil
}

// damaged is the error of data that cannot be read, for whatever reason.
func (d *dir) damaged(reason error) error {
	return fmt.Errorf("%w: %s: %w; if the cluster has others, remove the directory, and have this server join them under a new name, in place of what it was", ErrDamaged, d.path, reason)
}
