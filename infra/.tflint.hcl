# SPDX-License-Identifier: Apache-2.0
# Every rule of the language; the rules for AWS need a plugin that cannot be had everywhere: checkov and the provider
# for tests stand in for it.

plugin "terraform" {
  enabled = true
  preset  = "all"
}
