// SPDX-License-Identifier: Apache-2.0

// Package value turns the protocol's values into plain Go values and back.
//
// Everything else in the provider handles maps, slices, strings, float64 and bool, because rules are written about
// names and dotted paths, not about types.  The type comes back in only at the edge (ToWire).
package value

import (
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Attrs is an object: of a whole resource or of one nested block.
type Attrs = map[string]any

type unknown struct{}

// Unknown stands for a value that is known only after apply.
var Unknown any = unknown{}

// IsUnknown says whether the value itself (not a part of it) is unknown.
func IsUnknown(x any) bool { _, yes := x.(unknown); return yes }

// WhollyKnown says whether nothing inside the value is unknown.
func WhollyKnown(x any) bool {
	switch v := x.(type) {
	case unknown:
		return false
	case map[string]any:
		for _, e := range v {
			if !WhollyKnown(e) {
				return false
			}
		}
	case []any:
		for _, e := range v {
			if !WhollyKnown(e) {
				return false
			}
		}
	}
	return true
}

// FromWire converts a protocol value.
func FromWire(v tftypes.Value) (any, error) {
	if !v.IsKnown() {
		return Unknown, nil
	}
	if v.IsNull() {
		return nil, nil
	}
	t := v.Type()
	switch {
	case t.Is(tftypes.String):
		var s string
		err := v.As(&s)
		return s, err
	case t.Is(tftypes.Number):
		n := new(big.Float)
		if err := v.As(&n); err != nil {
			return nil, err
		}
		f, _ := n.Float64()
		return f, nil
	case t.Is(tftypes.Bool):
		var b bool
		err := v.As(&b)
		return b, err
	case t.Is(tftypes.Object{}), t.Is(tftypes.Map{}):
		return mapFromWire(v)
	case t.Is(tftypes.List{}), t.Is(tftypes.Set{}), t.Is(tftypes.Tuple{}):
		return listFromWire(v)
	}
	return nil, fmt.Errorf("values of type %s are not handled", t)
}

func mapFromWire(v tftypes.Value) (any, error) {
	members := map[string]tftypes.Value{}
	if err := v.As(&members); err != nil {
		return nil, err
	}
	result := make(Attrs, len(members))
	for k, e := range members {
		x, err := FromWire(e)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		result[k] = x
	}
	return result, nil
}

func listFromWire(v tftypes.Value) (any, error) {
	var elements []tftypes.Value
	if err := v.As(&elements); err != nil {
		return nil, err
	}
	result := make([]any, 0, len(elements))
	for i, e := range elements {
		x, err := FromWire(e)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		result = append(result, x)
	}
	return result, nil
}

var errShape = errors.New("value does not have the schema's type")

// ToWire gives a Go value the protocol's type.  Members that the type has and the value lacks become null.
func ToWire(x any, t tftypes.Type) (tftypes.Value, error) {
	switch v := x.(type) {
	case nil:
		return tftypes.NewValue(t, nil), nil
	case unknown:
		return tftypes.NewValue(t, tftypes.UnknownValue), nil
	case Attrs:
		return mapToWire(v, t)
	case []any:
		return listToWire(v, t)
	case int:
		x = float64(v)
	}
	if err := tftypes.ValidateValue(t, x); err != nil {
		return tftypes.Value{}, fmt.Errorf("%w: %s", errShape, err)
	}
	return tftypes.NewValue(t, x), nil
}

func mapToWire(v Attrs, t tftypes.Type) (tftypes.Value, error) {
	members := map[string]tftypes.Value{}
	switch typ := t.(type) {
	case tftypes.Object:
		for k, at := range typ.AttributeTypes {
			e, err := ToWire(v[k], at)
			if err != nil {
				return tftypes.Value{}, fmt.Errorf("%s: %w", k, err)
			}
			members[k] = e
		}
	case tftypes.Map:
		for k, x := range v {
			e, err := ToWire(x, typ.ElementType)
			if err != nil {
				return tftypes.Value{}, fmt.Errorf("%s: %w", k, err)
			}
			members[k] = e
		}
	default:
		return tftypes.Value{}, fmt.Errorf("%w: a map where %s is expected", errShape, t)
	}
	return tftypes.NewValue(t, members), nil
}

func listToWire(v []any, t tftypes.Type) (tftypes.Value, error) {
	var element tftypes.Type
	switch typ := t.(type) {
	case tftypes.List:
		element = typ.ElementType
	case tftypes.Set:
		element = typ.ElementType
	default:
		return tftypes.Value{}, fmt.Errorf("%w: a list where %s is expected", errShape, t)
	}
	elements := make([]tftypes.Value, 0, len(v))
	for i, x := range v {
		e, err := ToWire(x, element)
		if err != nil {
			return tftypes.Value{}, fmt.Errorf("[%d]: %w", i, err)
		}
		elements = append(elements, e)
	}
	return tftypes.NewValue(t, elements), nil
}

// Text is the string at key, or "" where it is absent, unknown or something else.
func Text(m Attrs, key string) string { s, _ := m[key].(string); return s }

// Number is the number at key, or 0.
func Number(m Attrs, key string) float64 { n, _ := m[key].(float64); return n }

// True is the bool at key, or false.
func True(m Attrs, key string) bool { b, _ := m[key].(bool); return b }

// Texts are the known strings of a list or set at key.
func Texts(m Attrs, key string) []string {
	list, _ := m[key].([]any)
	var result []string
	for _, e := range list {
		if s, ok := e.(string); ok {
			result = append(result, s)
		}
	}
	return result
}

// Blocks are the nested blocks at key.
func Blocks(m Attrs, key string) []Attrs {
	if single, ok := m[key].(Attrs); ok {
		return []Attrs{single}
	}
	list, _ := m[key].([]any)
	var result []Attrs
	for _, e := range list {
		if o, ok := e.(Attrs); ok {
			result = append(result, o)
		}
	}
	return result
}

// Block is the first nested block along a dotted path, or nil.
func Block(m Attrs, path string) Attrs {
	for _, step := range strings.Split(path, ".") {
		blocks := Blocks(m, step)
		if len(blocks) == 0 {
			return nil
		}
		m = blocks[0]
	}
	return m
}

// At collects the values at a dotted path, through lists and sets, without the absent and unknown ones.
func At(m Attrs, path string) []any {
	head, rest, nested := strings.Cut(path, ".")
	found := m[head]
	if found == nil || IsUnknown(found) {
		return nil
	}
	if nested {
		var result []any
		for _, b := range Blocks(m, head) {
			result = append(result, At(b, rest)...)
		}
		return result
	}
	if list, ok := found.([]any); ok {
		var result []any
		for _, e := range list {
			if e != nil && !IsUnknown(e) {
				result = append(result, e)
			}
		}
		return result
	}
	return []any{found}
}

// IsSet says whether a value is certainly given: not absent, not unknown, not an empty block.
func IsSet(m Attrs, key string) bool {
	x := m[key]
	if list, ok := x.([]any); ok {
		return len(list) > 0
	}
	return x != nil && !IsUnknown(x)
}

// MayBeSet says whether a value is given or may turn out to be.
func MayBeSet(m Attrs, key string) bool { return IsSet(m, key) || IsUnknown(m[key]) }

// Clone copies a value deeply.
func Clone(x any) any {
	switch v := x.(type) {
	case Attrs:
		result := make(Attrs, len(v))
		for k, e := range v {
			result[k] = Clone(e)
		}
		return result
	case []any:
		result := make([]any, len(v))
		for i, e := range v {
			result[i] = Clone(e)
		}
		return result
	}
	return x
}

// Equal compares values; the order of a set's elements has been made canonical by the caller (tftypes keeps it).
func Equal(a, b any) bool { return reflect.DeepEqual(a, b) }
