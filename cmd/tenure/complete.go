package main

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cluster"
	"github.com/tenure-go/tenure/store"
)

// Completion of arguments and of the values of flags. It goes by the words in a command's
// usage line, so that a new command needs nothing of its own.

// completionTime bounds what completion asks of a store: somebody waits at a prompt.
const completionTime = time.Second

// flagWords are the flags whose values are what a word in a usage line stands for.
var flagWords = map[string]string{"store": "STORE", "to": "MEMBER", "node": "NODE", "prefix": "KEY"}

// suggesters look up what a word in a usage line may stand for.
var suggesters = map[string]func(*words, context.Context, store.Store) []suggestion{
	"NAME":    (*words).elections,
	"MEMBER":  (*words).members,
	"CLUSTER": (*words).clusters,
	"NODE":    (*words).nodes,
	"KEY":     (*words).keys,
}

// chooser is a flag's value that is one of a few.
type chooser interface{ choices() []string }

const completionHelp = `Prints the script that completes command lines of tenure in bash, zsh, fish or powershell:
commands, flags, and the names of elections, members, clusters, nodes and keys that are in
the store. A store that does not answer within a second is not waited for, and one that is
not there is not made.

    source <(tenure completion bash)

"tenure completion SHELL --help" says how to have it in every session.`

// addCompletion adds "tenure completion", and what it needs of each command.
func addCompletion(root *cobra.Command, c *common) {
	root.InitDefaultCompletionCmd()
	if cmd, _, err := root.Find([]string{"completion"}); err == nil {
		cmd.Short, cmd.Long = "Print the script that completes command lines in a shell", completionHelp
		cmd.Args, cmd.RunE = cobra.ArbitraryArgs, commandNeeded // or an unknown shell were no error
		for _, shell := range cmd.Commands() {
			shell.Args = noArguments
		}
	}
	walk(root, func(cmd *cobra.Command) {
		if cmd.ValidArgsFunction == nil {
			cmd.ValidArgsFunction = c.completeArgument
		}
		add := func(flag *pflag.Flag) {
			if fn := c.flagCompletion(flag); fn != nil {
				_ = cmd.RegisterFlagCompletionFunc(flag.Name, fn) // fails for a flag that has one
			}
		}
		cmd.LocalFlags().VisitAll(add)
	})
}

// walk calls f for a command and all below it.
func walk(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, sub := range cmd.Commands() {
		walk(sub, f)
	}
}

// flagCompletion completes the value of a flag. A text may be the name of a file, which the
// shell completes; nothing else may.
func (c *common) flagCompletion(flag *pflag.Flag) cobra.CompletionFunc {
	if word, ok := flagWords[flag.Name]; ok {
		return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return c.complete(cmd, word, args, begun)
		}
	}
	if v, ok := flag.Value.(chooser); ok {
		return cobra.FixedCompletions(v.choices(), cobra.ShellCompDirectiveNoFileComp)
	}
	if strings.HasPrefix(flag.Value.Type(), "string") {
		return nil
	}
	return cobra.NoFileCompletions
}

// completeArgument completes the next argument of a command.
func (c *common) completeArgument(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	used := argumentsOf(cmd)
	if len(args) < len(used) {
		return c.complete(cmd, used[len(args)], args, begun)
	}
	if strings.Contains(cmd.Use, " -- ") {
		return nil, cobra.ShellCompDirectiveDefault // what follows is another command's
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// argumentsOf returns the words for arguments in a command's usage line: CLUSTER and KEY of
// "list CLUSTER [KEY] [--node NODE] -- CMD".
func argumentsOf(cmd *cobra.Command) []string {
	line, _, _ := strings.Cut(cmd.Use, " -- ")
	var found []string
	for fields := strings.Fields(line)[1:]; len(fields) > 0; fields = fields[1:] {
		switch word := fields[0]; {
		case strings.HasPrefix(word, "[-"):
			for !strings.HasSuffix(fields[0], "]") && len(fields) > 1 {
				fields = fields[1:]
			}
		case strings.HasPrefix(word, "-") && len(fields) > 1:
			fields = fields[1:] // its value
		case word != "[flags]":
			found = append(found, strings.Trim(word, "[]."))
		}
	}
	return found
}

// suggestion is a name, and what it is.
type suggestion struct{ name, what string }

// words are those that have been typed.
type words struct {
	used  []string // the words in the usage line for args
	args  []string
	begun string // what of the next one there is
}

// before is the argument, before the one that is typed, that a word stands for; "": none.
func (w *words) before(word string) string {
	if i := slices.Index(w.used, word); i >= 0 && i < len(w.args) {
		return w.args[i]
	}
	return ""
}

// complete completes what a word stands for. Whatever goes wrong, there is nothing to
// suggest: nobody has asked for anything yet.
func (c *common) complete(cmd *cobra.Command, word string, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if word == "STORE" {
		return completeStore(begun)
	}
	none := cobra.ShellCompDirectiveNoFileComp
	suggest, ok := suggesters[word]
	if !ok {
		return nil, none
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	st, err := c.openExisting(ctx)
	if err != nil {
		return nil, none
	}
	defer func() { _ = st.Close() }() // nothing was written
	var all []cobra.Completion
	for _, s := range suggest(&words{argumentsOf(cmd), args, begun}, ctx, st) {
		if strings.HasPrefix(s.name, begun) && typeable(s.name, begun) {
			all = append(all, cobra.CompletionWithDesc(s.name, s.what))
		}
	}
	return all, none
}

// typeable reports whether a name means itself when it stands on a command line. What the
// store holds others have written, and shells run what stands in some names: the scripts
// quote some of what they insert, but not what several names begin with.
func typeable(name, begun string) bool {
	if strings.HasPrefix(name, "-") && begun == "" {
		return false // it goes after "--"
	}
	special := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_./:@+,=%", r)
	}
	return name != "" && !strings.ContainsFunc(name, special)
}

// openExisting opens a store to look into it. It makes no file where there is none.
func (c *common) openExisting(ctx context.Context) (store.Store, error) {
	url, _, err := c.whichStore()
	if err != nil {
		return nil, err
	}
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		info, err := os.Stat(sqlitePath(path))
		if err != nil {
			return nil, err
		}
		if info.Size() == 0 {
			return nil, errors.New("the file is empty") // opening it would fill it
		}
	}
	return openStore(ctx, url)
}

// elections are all that have a leader or a candidate, or are paused.
func (w *words) elections(ctx context.Context, st store.Store) (all []suggestion) {
	surveyed, _ := tenure.Survey(ctx, st) // all that can be read
	for _, s := range surveyed {
		leader := "nobody leads"
		if s.Leader != nil {
			leader = described(*s.Leader)
		}
		all = append(all, suggestion{s.Election, leader})
	}
	return all
}

// members are the candidates of the election that has been named, or of all.
func (w *words) members(ctx context.Context, st store.Store) (all []suggestion) {
	surveyed, _ := tenure.Survey(ctx, st) // all that can be read
	election := w.before("NAME")
	found := map[string][]string{}
	for _, s := range surveyed {
		if election != "" && s.Election != election {
			continue
		}
		for _, m := range s.Candidates {
			found[m.Member] = append(found[m.Member], plain(s.Election)+": "+plain(stateOf(s, m)))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(found)) {
		all = append(all, suggestion{id, strings.Join(found[id], ", ")})
	}
	return all
}

// clusters are the elections between nodes, who are called as their cluster is.
func (w *words) clusters(ctx context.Context, st store.Store) (all []suggestion) {
	surveyed, _ := tenure.Survey(ctx, st) // all that can be read
	for _, s := range surveyed {
		node := func(m tenure.Candidate) bool { return strings.HasPrefix(m.Member, s.Election+"/") }
		if slices.ContainsFunc(s.Candidates, node) {
			all = append(all, suggestion{name: s.Election})
		}
	}
	return all
}

// nodes are those of the cluster that has been named.
func (w *words) nodes(ctx context.Context, st store.Store) (all []suggestion) {
	nodes, _ := cluster.NewView(st, w.before("CLUSTER")).Nodes(ctx) // all that can be read
	for _, n := range nodes {
		all = append(all, suggestion{n.ID, string(n.Role)})
	}
	return all
}

// keys are those under which the node that has been named publishes something, or any.
func (w *words) keys(ctx context.Context, st store.Store) (all []suggestion) {
	published, _ := cluster.NewView(st, w.before("CLUSTER")).GetAllPrefix(ctx, w.begun) // all that can be read
	node := w.before("NODE")
	found := map[string]bool{}
	for id, values := range published {
		for _, v := range values {
			if node == "" || id == node {
				found[v.Key] = true
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		all = append(all, suggestion{name: key})
	}
	return all
}
