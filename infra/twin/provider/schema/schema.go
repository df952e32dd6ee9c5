// SPDX-License-Identifier: Apache-2.0

// Package schema carries the argument schema of hashicorp/aws, generated from its published bindings.
package schema

import _ "embed"

//go:generate python3 generate.py

// JSON has the form of one entry of `providers schema -json`.
//
//go:embed aws.schema.json
var JSON []byte
