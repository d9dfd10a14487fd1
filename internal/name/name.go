// Package name says what can be a name: of an election, a member, a cluster, a node, a key.
package name

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Check refuses what cannot be the name of something, which what says.
func Check(what, name string, limit int) error {
	switch {
	case name == "":
		return fmt.Errorf("empty %s; give it from 1 to %d bytes", what, limit)
	case len(name) > limit:
		return fmt.Errorf("%s of %d bytes; the limit is %d, so shorten or hash it", what, len(name), limit)
	case !utf8.ValidString(name):
		return fmt.Errorf("%s %q is not UTF-8; encode it, in base64 for example", what, name)
	case strings.IndexByte(name, 0) >= 0:
		return fmt.Errorf("%s %q has a NUL byte; leave that out", what, name)
	}
	return nil
}
