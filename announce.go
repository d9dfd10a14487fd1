package tenure

import (
	"context"
	"iter"

	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// Announcement is what a leader wants known.
type Announcement struct {
	Member string
	Token  Token // of the term that it belongs to; zero: there is no announcement
	Data   []byte
}

// Announce makes data known to all who ask for the announcement of this election, in
// place of what was announced before. It goes with the term. No announcement of an
// older term takes effect after a newer one has begun. Errors: ErrInvalid for more than
// MaxAnnouncement bytes, and otherwise those of Commit.
func (l *Leadership) Announce(ctx context.Context, data []byte) error {
	if err := l.announce(ctx, data); err != nil {
		return l.fail("announce", err)
	}
	return nil
}

func (l *Leadership) announce(ctx context.Context, data []byte) error {
	switch {
	case len(data) > MaxAnnouncement:
		return invalid("announcement of %d bytes; the limit is %d, so announce where it can be found", len(data), MaxAnnouncement)
	case !l.Held():
		return l.lossCause()
	}
	record := protocol.Encode(protocol.NewAnnouncement(l.Member(), l.token, data))
	_, err := l.commit(ctx, store.Tx{Then: []store.Op{store.Put(protocol.AnnounceKey(l.c.election), record, l.s.lease.ID)}})
	return err
}

// Announcement asks the store what the leader has announced. False: nobody leads, or
// nothing was announced. Errors: ErrInvalid, ErrCorrupt, and those of the store and of
// ctx.
func (v *View) Announcement(ctx context.Context) (a Announcement, ok bool, err error) {
	err = v.operate(ctx, "read announcement", func(ctx context.Context) error {
		key := protocol.AnnounceKey(v.election)
		l, err := list(ctx, v.st, store.Keys(key))
		if err != nil || l.Entry(key) == nil {
			return err
		}
		ok = true
		a, err = announcementIn(l.Entry(key))
		return err
	})
	return a, ok && err == nil, err
}

// Announcements yields the present announcement first, or the zero one, and then every
// change, for as long as ctx lives; where the history of the store was lost in between,
// only the last. Its last element is an error, as of Observe.
func (v *View) Announcements(ctx context.Context) iter.Seq2[Announcement, error] {
	return func(yield func(Announcement, error) bool) {
		key := protocol.AnnounceKey(v.election)
		err := v.operate(ctx, "observe announcements", func(ctx context.Context) error {
			first := true
			for batch, err := range store.Follow(ctx, v.st, key, nil) {
				if err != nil {
					return err
				}
				told := false
				for i := range batch.Events {
					ev := &batch.Events[i]
					if ev.Entry.Key != key { // of an election whose name begins like this one's
						continue
					}
					var a Announcement
					if !ev.Deleted {
						if a, err = announcementIn(&ev.Entry); err != nil {
							return err
						}
					}
					told = true
					if !yield(a, nil) {
						return nil
					}
				}
				if first && !told && !yield(Announcement{}, nil) {
					return nil
				}
				first = false
			}
			return nil
		})
		if err != nil {
			yield(Announcement{}, err)
		}
	}
}

func announcementIn(e *store.Entry) (Announcement, error) {
	a, err := protocol.DecodeAnnouncement(e.Value)
	return Announcement{Member: a.Member, Token: a.Token, Data: a.Data}, err
}
