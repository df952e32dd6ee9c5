// SPDX-License-Identifier: Apache-2.0

// Package overlay carries what the bindings of hashicorp/aws lose: defaults, validators, what forces a replacement,
// unique names, references, and how generated values look.  One file a service; package catalog explains the form.
package overlay

import "embed"

// Files are the *.json of this folder.
//
//go:embed *.json
var Files embed.FS
