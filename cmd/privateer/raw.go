package main

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"

	"github.com/alecthomas/kong"
)

// kong hands values on as JSON, in which bytes that are no UTF-8 become U+FFFD. What
// is typed is handed on as it was typed: a body, a header's value, a program and its
// arguments may be any bytes, and where they may not, the command says so.

// rawValues are kong's options for that.
func rawValues() []kong.Option {
	options := []kong.Option{
		kong.KindMapper(reflect.String, kong.MapperFunc(decodeString)),
		kong.TypeMapper(reflect.TypeFor[[]string](), listMapper(func(text string) (string, error) { return text, nil })),
		kong.TypeMapper(reflect.TypeFor[[]header](), listMapper(func(text string) (h header, err error) { return h, h.UnmarshalText([]byte(text)) })),
	}
	for _, t := range []reflect.Type{reflect.TypeFor[duration](), reflect.TypeFor[durationOrZero](), reflect.TypeFor[size](), reflect.TypeFor[count](),
		reflect.TypeFor[countOrZero](), reflect.TypeFor[pageSize](), reflect.TypeFor[requestID](), reflect.TypeFor[fileMode](), reflect.TypeFor[serviceName](), reflect.TypeFor[deadCode](),
		reflect.TypeFor[limit](), reflect.TypeFor[limitTime](), reflect.TypeFor[percent]()} {
		options = append(options, kong.TypeMapper(t, kong.MapperFunc(decodeText)))
	}
	return options
}

// popText takes the next value; err says that there is none.
func popText(ctx *kong.DecodeContext) (string, error) {
	t, err := ctx.Scan.PopValue(ctx.Value.Name)
	if err != nil {
		return "", err
	}
	return textOf(t.Value)
}

// textOf is a value's text: of the command line, the environment or the file.
func textOf(v any) (string, error) {
	text, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("%v is no text", v)
	}
	return text, nil
}

func decodeString(ctx *kong.DecodeContext, target reflect.Value) error {
	text, err := popText(ctx)
	if err == nil {
		target.SetString(text)
	}
	return err
}

func decodeText(ctx *kong.DecodeContext, target reflect.Value) error {
	text, err := popText(ctx)
	if err != nil {
		return err
	}
	return target.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)) // of rawValues
}

// listMapper decodes a list, one value each time on the command line, all of them
// from elsewhere.
func listMapper[T any](one func(text string) (T, error)) kong.MapperFunc {
	return func(ctx *kong.DecodeContext, target reflect.Value) error {
		var values []any
		if ctx.Value.Flag == nil {
			for _, t := range ctx.Scan.PopWhile(func(t kong.Token) bool { return t.IsValue() }) {
				values = append(values, t.Value)
			}
		} else {
			t := ctx.Scan.Pop()
			switch v := t.Value.(type) {
			case []any:
				values = v
			case string:
				for _, part := range kong.SplitEscaped(v, ctx.Value.Tag.Sep) {
					values = append(values, part)
				}
			default:
				return errors.New("missing value")
			}
		}
		for _, v := range values {
			text, err := textOf(v)
			if err != nil {
				return err
			}
			item, err := one(text)
			if err != nil {
				return err
			}
			target.Set(reflect.Append(target, reflect.ValueOf(item)))
		}
		return nil
	}
}
