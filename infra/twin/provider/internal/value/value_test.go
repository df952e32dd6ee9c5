// SPDX-License-Identifier: Apache-2.0

package value

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

var objectType = tftypes.Object{AttributeTypes: map[string]tftypes.Type{
	"name":  tftypes.String,
	"count": tftypes.Number,
	"tags":  tftypes.Map{ElementType: tftypes.String},
	"rule": tftypes.Set{ElementType: tftypes.Object{AttributeTypes: map[string]tftypes.Type{
		"port": tftypes.Number, "open": tftypes.Bool}}},
}}

func TestValuesSurviveTheWay(t *testing.T) {
	given := Attrs{"name": "a", "count": 3.0, "tags": Attrs{"k": Unknown},
		"rule": []any{Attrs{"port": 9094.0, "open": true}}}
	wire, err := ToWire(given, objectType)
	if err != nil {
		t.Fatal(err)
	}
	back, err := FromWire(wire)
	if err != nil {
		t.Fatal(err)
	}
	if !Equal(given, back) {
		t.Fatalf("got %v, want %v", back, given)
	}
}

func TestWrongTypeIsAnErrorThatNamesThePlace(t *testing.T) {
	_, err := ToWire(Attrs{"rule": []any{Attrs{"port": "http"}}}, objectType)
	if err == nil || err.Error()[:14] != "rule: [0]: por" {
		t.Fatalf("got %v", err)
	}
	if _, err = ToWire(Attrs{"tags": []any{}}, objectType); err == nil {
		t.Fatal("a list passed as a map")
	}
}

func TestPathsGoThroughListsAndSkipUnknowns(t *testing.T) {
	m := Attrs{"a": []any{Attrs{"b": []any{"x", Unknown, "y"}}, Attrs{"b": []any{"z"}}, Attrs{"b": nil}}}
	got := At(m, "a.b")
	if len(got) != 3 || got[0] != "x" || got[2] != "z" {
		t.Fatalf("got %v", got)
	}
	if At(m, "a.c.d") != nil {
		t.Fatal("a path that leads nowhere has a value")
	}
}

func TestUnknownInsideIsFound(t *testing.T) {
	if WhollyKnown(Attrs{"a": []any{Attrs{"b": Unknown}}}) || !WhollyKnown(Attrs{"a": []any{nil, "x"}}) {
		t.Fatal("WhollyKnown is wrong")
	}
}
