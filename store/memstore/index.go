package memstore

import (
	"iter"
	"slices"
	"strings"

	"github.com/tenure-go/tenure/store"
)

// maxBlock is the most entries of one block. At 100000 keys an insertion moves
// at most 512 pointers, and now and then 400 block headers.
const maxBlock = 512

// index holds entries sorted by key in blocks of bounded size: nearly as simple
// as one sorted slice, without its linear insertion. Entries in it are never
// changed, only replaced, so that events may share their values.
type index struct {
	blocks [][]*store.Entry // none of them empty
}

// seek returns where the first entry at or after key is, and whether it is key's.
func (x *index) seek(key string) (block, i int, found bool) {
	block, _ = slices.BinarySearchFunc(x.blocks, key, func(b []*store.Entry, key string) int {
		return strings.Compare(b[len(b)-1].Key, key)
	})
	if block == len(x.blocks) {
		return block, 0, false
	}
	i, found = slices.BinarySearchFunc(x.blocks[block], key, func(e *store.Entry, key string) int {
		return strings.Compare(e.Key, key)
	})
	return block, i, found
}

// get returns the entry of key, or nil.
func (x *index) get(key string) *store.Entry {
	block, i, found := x.seek(key)
	if !found {
		return nil
	}
	return x.blocks[block][i]
}

// put adds e, or replaces the entry of its key.
func (x *index) put(e *store.Entry) {
	block, i, found := x.seek(e.Key)
	switch {
	case found:
		x.blocks[block][i] = e
		return
	case len(x.blocks) == 0:
		x.blocks = append(x.blocks, nil)
	case block == len(x.blocks): // behind everything
		block--
		i = len(x.blocks[block])
	}
	b := slices.Insert(x.blocks[block], i, e)
	x.blocks[block] = b
	if len(b) > maxBlock {
		half := len(b) / 2
		right := slices.Clone(b[half:])
		clear(b[half:])
		x.blocks[block] = b[:half]
		x.blocks = slices.Insert(x.blocks, block+1, right)
	}
}

// delete removes the entry of key, if there is one.
func (x *index) delete(key string) {
	block, i, found := x.seek(key)
	if !found {
		return
	}
	x.blocks[block] = slices.Delete(x.blocks[block], i, i+1)
	if len(x.blocks[block]) == 0 {
		x.blocks = slices.Delete(x.blocks, block, block+1)
	}
}

// under yields the entries under prefix in order.
func (x *index) under(prefix string) iter.Seq[*store.Entry] {
	return func(yield func(*store.Entry) bool) {
		block, i, _ := x.seek(prefix)
		for ; block < len(x.blocks); block, i = block+1, 0 {
			for _, e := range x.blocks[block][i:] {
				if !strings.HasPrefix(e.Key, prefix) || !yield(e) {
					return
				}
			}
		}
	}
}
