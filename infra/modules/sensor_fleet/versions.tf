# SPDX-License-Identifier: Apache-2.0

terraform {
  # 1.11: write-only arguments and ephemeral values, so that no password is ever in a state or a plan.
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.66"
    }
  }
}
