// Package settings gives kong the flags that are not on the command line:
// from the environment, and where that is silent, from a configuration file.
// (kong's own order would ask the file first.)
package settings

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Tag marks a flag that can only be given on the command line: settings:"none".
const Tag = "settings"

// SharedTag names a variable that several commands read, after their own.
const SharedTag = "shared"

// prefix begins every variable that is read here.
const prefix = "PRIVATEER_"

// notFlags are given to handler processes and never read: a handler that calls
// this program must not have its own request taken for settings.
var notFlags = []string{"PRIVATEER_REQUEST_ID", "PRIVATEER_ATTEMPT", "PRIVATEER_SERVICE", "PRIVATEER_DEADLINE_MS", "PRIVATEER_TREE"}

// A Resolver is a kong.Resolver over one environment and at most one file.
type Resolver struct {
	env  map[string]string
	file *file
}

// A FileError is a configuration file that cannot be used, whichever flag was
// being looked up.
type FileError struct{ err error }

func (e *FileError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.err }

// New makes a Resolver over environ, a list of KEY=VALUE.
func New(environ []string) *Resolver {
	r := &Resolver{env: make(map[string]string)}
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok && strings.HasPrefix(k, prefix) {
			r.env[k] = v
		}
	}
	return r
}

// Variable is the environment variable of a command's flag, "" if it has none.
func Variable(command string, flag *kong.Flag) string {
	if flag.Tag.Get(Tag) == "none" || flag.Name == "help" {
		return ""
	}
	return prefix + shout(command) + "_" + shout(flag.Name)
}

// Shared is the variable that a flag shares with those of other commands, "" if it
// shares none.
func Shared(flag *kong.Flag) string { return flag.Tag.Get(SharedTag) }

func shout(s string) string { return strings.ToUpper(strings.ReplaceAll(s, "-", "_")) }

// Validate does nothing: what the file may hold is checked when it is read.
func (r *Resolver) Validate(*kong.Application) error { return nil }

// Resolve returns the value of a flag that the command line does not have.
func (r *Resolver) Resolve(ctx *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	if parent.Command == nil {
		return nil, nil
	}
	if err := r.load(ctx, parent.Command); err != nil {
		return nil, err
	}
	value, from := r.find(parent.Command.Name, flag)
	if value == nil {
		return nil, nil
	}
	return value, check(flag, value, from)
}

// find returns a flag's value, a string or a list of them, and where it stands.
func (r *Resolver) find(command string, flag *kong.Flag) (value any, from string) {
	name := Variable(command, flag)
	if name == "" {
		return nil, ""
	}
	if s := r.env[name]; s != "" { // empty is how some tools write "not set"
		if flag.IsSlice() {
			return split(s), name
		}
		return s, name
	}
	if shared := Shared(flag); r.env[shared] != "" {
		list := split(r.env[shared])
		switch {
		case flag.IsSlice():
			return list, shared
		case len(list) > 0: // it takes one: the first
			return list[0], shared
		}
	}
	return r.file.find(command, flag.Name)
}

// split parts a comma-separated list.
func split(s string) []any {
	list := []any{}
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// check tries a value on a copy of the flag's target, so that an error can
// name the place it came from.
func check(flag *kong.Flag, value any, from string) error {
	if s, ok := value.(string); ok && flag.Enum != "" && !flag.EnumMap()[s] {
		return fmt.Errorf("%s: %q is none of %s", from, s, strings.Join(flag.EnumSlice(), ", "))
	}
	items, isList := value.([]any)
	switch {
	case !isList:
		items = []any{value}
	case !flag.IsSlice():
		return fmt.Errorf("%s: takes one value, not a list", from)
	}
	for _, item := range items {
		target := reflect.New(flag.Target.Type()).Elem()
		scan := kong.Scan().PushTyped(item, kong.FlagValueToken)
		if err := flag.Mapper.Decode(&kong.DecodeContext{Value: flag.Value, Scan: scan}, target); err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
	}
	return nil
}

// load reads the file that --config names, once.
func (r *Resolver) load(ctx *kong.Context, command *kong.Node) error {
	if r.file != nil {
		return nil
	}
	r.file = &file{}
	path := ""
	for _, flag := range command.Flags {
		if flag.Name == "config" {
			path, _ = ctx.FlagValue(flag).(string)
			if name := Variable(command.Name, flag); path == "" {
				path = r.env[name]
			}
		}
	}
	if path == "" {
		return nil
	}
	f, err := read(path, known(ctx.Model))
	if err != nil {
		return &FileError{err}
	}
	r.file = f
	return nil
}

// known lists the keys of each section: the flags that a file may give.
func known(app *kong.Application) map[string][]string {
	sections := make(map[string][]string)
	for _, command := range app.Leaves(true) {
		keys := []string{}
		for _, flag := range command.Flags {
			if Variable(command.Name, flag) != "" && flag.Name != "config" {
				keys = append(keys, flag.Name)
			}
		}
		sections[command.Name] = keys
	}
	return sections
}

// Strays returns a warning for each variable that looks like a flag of command
// but is none.
func (r *Resolver) Strays(command *kong.Node) []string {
	names := []string{}
	for _, flag := range command.Flags {
		if name := Variable(command.Name, flag); name != "" {
			names = append(names, name)
		}
	}
	var warnings []string
	for _, name := range slices.Sorted(maps.Keys(r.env)) {
		if !strings.HasPrefix(name, prefix+shout(command.Name)+"_") ||
			slices.Contains(names, name) || slices.Contains(notFlags, name) {
			continue
		}
		warnings = append(warnings, "ignoring the unknown variable "+name+Suggest(name, names))
	}
	return warnings
}
