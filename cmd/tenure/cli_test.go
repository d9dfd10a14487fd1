package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var updateFlag = flag.Bool("update", false, "write docs/cli.md anew")

const cliFile = "../../docs/cli.md"

// TestCLIPage keeps docs/cli.md what the commands say of themselves.
func TestCLIPage(t *testing.T) {
	t.Parallel()
	want := cliPage(newRoot())
	if *updateFlag {
		if err := os.WriteFile(cliFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(cliFile)
	if err != nil || string(got) != want {
		t.Errorf("docs/cli.md is not what the commands say (%v); write it anew with\n\n\tmake cli\n", err)
	}
}

const cliHead = `# The command

This page is what the commands say of themselves: ` + "`make cli`" + ` writes it. [The README](../README.md) has a first try.

`

// cliPage is one page of all commands. Package cobra/doc makes one of each, with headings
// that several on one page cannot share.
func cliPage(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(cliHead)
	var all []*cobra.Command
	walk(root, func(cmd *cobra.Command) {
		if cmd != root && cmd.IsAvailableCommand() && cmd.Runnable() && cmd.Parent().Name() != "completion" {
			all = append(all, cmd)
		}
	})
	b.WriteString("| command | what it does |\n|---|---|\n")
	for _, cmd := range all {
		row(&b, "[`"+useLine(cmd)+"`](#"+anchor(cmd)+")", cmd.Short)
	}
	b.WriteString("\nThen [exit codes](#exit-codes) and [environment variables](#environment-variables).\n\n## tenure\n\n")
	text(&b, withoutTable(root.Long))
	b.WriteString("Every command has these flags:\n\n")
	text(&b, root.PersistentFlags().FlagUsages())
	for _, cmd := range all {
		section(&b, cmd)
	}
	b.WriteString("## Exit codes\n\n| code | what it means | commands |\n|---|---|---|\n")
	for _, r := range exitCodes {
		row(&b, fmt.Sprint(r.code), r.meaning, r.commands)
	}
	b.WriteString("\n## Environment variables\n\n| variable | who reads it | what it says |\n|---|---|---|\n")
	for _, v := range environment {
		row(&b, "`"+v.name+"`", v.whose, v.meaning)
	}
	return b.String()
}

func section(b *strings.Builder, cmd *cobra.Command) {
	fmt.Fprintf(b, "## %s\n\n%s.\n\n", cmd.CommandPath(), cmd.Short)
	text(b, useLine(cmd))
	if cmd.Long != "" {
		text(b, cmd.Long)
	}
	if flags := cmd.LocalNonPersistentFlags(); flags.HasAvailableFlags() {
		text(b, flags.FlagUsages())
	}
	fmt.Fprintf(b, "[Exit codes](#exit-codes): %s.\n\n", exitCodesOf(cmd))
}

func exitCodesOf(cmd *cobra.Command) string {
	path := strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
	var codes []string
	for _, r := range exitCodes {
		switch {
		case slices.Contains(strings.Split(r.commands, ", "), path):
			codes = append(codes, fmt.Sprintf("%v (%s)", r.code, r.meaning))
		case r.commands == allButRun && path != "run":
			codes = append(codes, fmt.Sprint(r.code))
		}
	}
	return strings.Join(codes, ", ")
}

// useLine is a command line, with no word for the flags that every command has.
func useLine(cmd *cobra.Command) string {
	return strings.TrimSpace(cmd.Parent().CommandPath() + " " + cmd.Use)
}

// anchor is where GitHub puts the heading of a command.
func anchor(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// withoutTable is a help text without the exit codes at its end: they have a place of
// their own here.
func withoutTable(long string) string {
	before, _, _ := strings.Cut(long, "\nExit codes:\n")
	return before
}

// text is a block in which nothing is marked up.
func text(b *strings.Builder, block string) {
	fmt.Fprintf(b, "```text\n%s\n```\n\n", strings.TrimRight(block, "\n"))
}

// row is a line of a table.
func row(b *strings.Builder, cells ...string) {
	for _, c := range cells {
		fmt.Fprintf(b, "| %s ", strings.ReplaceAll(cmp.Or(c, " "), "|", `\|`))
	}
	b.WriteString("|\n")
}
