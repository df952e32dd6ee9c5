# SPDX-License-Identifier: Apache-2.0
# What an apply of an earlier state finds elsewhere: moved, not made a second time beside the old one.

moved {
  from = aws_vpc_security_group_egress_rule.mapping_services[0]
  to   = module.network.aws_vpc_security_group_egress_rule.interface_endpoints["mapping"]
}
