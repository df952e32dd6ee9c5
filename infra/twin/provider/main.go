// SPDX-License-Identifier: Apache-2.0

// A provider for tests that serves the argument schema of hashicorp/aws and keeps what is applied in a folder.
// README.md says what it models and what it does not.
package main

import (
	"fmt"
	"os"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tfprotov5/tf5server"

	"culvert/infra/twin/provider/internal/aws"
	"culvert/infra/twin/provider/internal/catalog"
	"culvert/infra/twin/provider/internal/server"
	"culvert/infra/twin/provider/overlay"
	"culvert/infra/twin/provider/schema"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "terraform-provider-aws (for tests):", err)
		os.Exit(1)
	}
}

func run() error {
	types, err := catalog.Load(schema.JSON, overlay.Files)
	if err != nil {
		return err
	}
	aws.Use(types)
	// The name is only logged: the caller finds the provider by the folder it is installed in.
	return tf5server.Serve("culvert/twin/aws", func() tfprotov5.ProviderServer { return server.New(types, os.Getenv) })
}
