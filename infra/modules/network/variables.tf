# SPDX-License-Identifier: Apache-2.0

variable "name" {
  description = "Prefix of every name, one per application: lower case, digits and hyphens, at most 20 characters."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.name))
    error_message = "The name must be 2 to 20 of a-z, 0-9 and -, beginning with a letter and not ending with a hyphen."
  }
}

variable "vpc_cidr_block" {
  description = "IPv4 block of the VPC. It may overlap the other account's: nothing routes between them."
  type        = string

  validation {
    condition     = can(cidrnetmask(var.vpc_cidr_block))
    error_message = "The VPC's block must be an IPv4 CIDR block, such as 10.0.0.0/16."
  }
}

variable "private_subnets" {
  description = "Private subnets by name; at most one per availability zone, since endpoints and brokers take one each."
  type = map(object({
    cidr_block        = string
    availability_zone = string
  }))

  validation {
    condition     = length(var.private_subnets) > 0
    error_message = "At least one private subnet is needed."
  }

  validation {
    condition     = length(distinct([for subnet in var.private_subnets : subnet.availability_zone])) == length(var.private_subnets)
    error_message = "Each private subnet must be in another availability zone."
  }
}

variable "public_subnets" {
  description = "Public subnets by name; nothing of culvert runs in them, they only hold a NAT gateway if one is wanted."
  type = map(object({
    cidr_block        = string
    availability_zone = string
  }))
  default = {}
}

variable "nat_gateway_public_subnet" {
  description = "Name of the public subnet that holds a NAT gateway; null: none, and no private subnet reaches the internet."
  type        = string
  default     = null

  validation {
    condition     = var.nat_gateway_public_subnet == null || contains(keys(var.public_subnets), coalesce(var.nat_gateway_public_subnet, "-"))
    error_message = "nat_gateway_public_subnet must be one of the names in public_subnets."
  }
}

variable "interface_endpoints" {
  description = "AWS services that private subnets reach by an interface endpoint, such as lambda, sts, secretsmanager (each costs money per zone and hour). policy, a JSON document, says what may be called through it: without one, anything of any account."
  type = map(object({
    policy = string
  }))
  default = {}

  validation {
    condition     = alltrue([for endpoint in var.interface_endpoints : try(length(jsondecode(endpoint.policy).Statement) > 0, false)])
    error_message = "Each of interface_endpoints needs a policy: a JSON document with at least one statement."
  }
}

variable "interface_endpoint_client_security_group_ids" {
  description = "Security groups by name that reach the interface endpoints; each gets a rule towards them, and they one for it. Not used where there are none."
  type        = map(string)
  default     = {}
}

variable "flow_log_traffic" {
  description = "Which traffic the flow logs record: ACCEPT, REJECT or ALL."
  type        = string
  default     = "REJECT"

  validation {
    condition     = contains(["ACCEPT", "REJECT", "ALL"], var.flow_log_traffic)
    error_message = "flow_log_traffic must be ACCEPT, REJECT or ALL."
  }
}

variable "log_retention_days" {
  description = "Days that flow logs are kept."
  type        = number
  default     = 30
}

variable "logs_kms_key_arn" {
  description = "KMS key that encrypts the flow logs; its policy must let CloudWatch Logs of the region use it."
  type        = string
}
