package etcdtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// version finds the server's version in the module that builds it.
var version = regexp.MustCompile(`(?m)^\s*go\.etcd\.io/etcd/server/v3 (v\S+)`)

// faulty is put behind the name of the binary for the one whose clock can be set and
// whose disk can be made to hang.
const faulty = "-faulty"

// Binary returns the path of the etcd binary that "make etcd" builds.
func Binary() (string, error) {
	root, err := repository()
	if err != nil {
		return "", err
	}
	mod, err := os.ReadFile(filepath.Join(root, "tools", "etcd", "go.mod"))
	if err != nil {
		return "", err
	}
	found := version.FindSubmatch(mod)
	if found == nil {
		return "", errors.New("tools/etcd/go.mod does not require the etcd server")
	}
	file := filepath.Join(root, "bin", "etcd-"+string(found[1]), "etcd")
	for _, kind := range []string{"", faulty} {
		if _, err := os.Stat(file + kind); err != nil {
			return "", fmt.Errorf("no etcd binary; run \"make etcd\": %w", err)
		}
	}
	return file, nil
}

// repository returns the folder of go.work, above the one that tests run in.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.work above the working directory")
		}
		dir = parent
	}
}
