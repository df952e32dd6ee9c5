# SPDX-License-Identifier: Apache-2.0

variable "region" {
  description = "Region of both accounts: private links do not cross regions."
  type        = string
  default     = "eu-central-1"

  validation {
    condition     = can(regex("^[a-z]{2}-[a-z]+-[0-9]$", var.region)) && !startswith(var.region, "cn-")
    error_message = "region must be one of AWS's commercial regions, such as eu-central-1: in the others (cn-, us-gov-) names and ARNs differ."
  }
}

variable "account_id" {
  description = "Account that this root may be applied in; null: whichever the credentials belong to."
  type        = string
  default     = null

  validation {
    condition     = var.account_id == null || can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be 12 digits, in quotes: leading zeros count."
  }
}

variable "application_name" {
  description = "Name of the application and prefix of every name; two applications may share an account."
  type        = string
  default     = "telemetry"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.application_name))
    error_message = "application_name must be 2 to 20 of a-z, 0-9 and -, beginning with a letter and not ending with a hyphen."
  }
}

variable "path" {
  description = "How the accounts are joined: endpoint_per_broker (SCRAM, an endpoint per broker) or multi_vpc (IAM, Amazon MSK's managed connectivity). Both roots must say the same."
  type        = string
  default     = "endpoint_per_broker"

  validation {
    condition     = contains(["endpoint_per_broker", "multi_vpc"], var.path)
    error_message = "path must be endpoint_per_broker or multi_vpc."
  }
}

variable "vpc_cidr_block" {
  description = "IPv4 block of the VPC. It may overlap the other account's: nothing routes between them."
  type        = string
  default     = "10.1.0.0/16"
}

variable "private_subnets" {
  description = "Private subnets of the brokers by name, two or three, each in another zone."
  type = map(object({
    cidr_block        = string
    availability_zone = string
  }))
  default = {
    private_a = { cidr_block = "10.1.1.0/24", availability_zone = "eu-central-1a" }
    private_b = { cidr_block = "10.1.2.0/24", availability_zone = "eu-central-1b" }
    private_c = { cidr_block = "10.1.3.0/24", availability_zone = "eu-central-1c" }
  }
}

variable "allowed_service_principal_arns" {
  description = "Roles or accounts of the other side that may ask for endpoints and read the hand-over: arn:aws:iam::ACCOUNT:role/NAME or arn:aws:iam::ACCOUNT:root."
  type        = set(string)

  validation {
    condition     = length(var.allowed_service_principal_arns) > 0
    error_message = "At least one role or account of the other side must be named."
  }
}

variable "accepted_endpoints" {
  description = "Endpoints that may come through, by consumer, as each analytics root prints them: { analytics = { \"1\" = \"vpce-...\" } }. Empty at the first apply."
  type        = map(map(string))
  default     = {}
}

variable "kafka_version" {
  description = "Kafka version in Amazon MSK's spelling."
  type        = string
  default     = "3.9.x.kraft"
}

variable "broker_count" {
  description = "Number of brokers: a multiple of the number of subnets. It can be raised later, not lowered."
  type        = number
  default     = 3
}

variable "broker_instance_type" {
  description = "Size of a broker; null: the cheapest that the path allows (kafka.t3.small, with multi_vpc kafka.m7g.large)."
  type        = string
  default     = null
}

variable "broker_storage_gib" {
  description = "Disk of each broker, in GiB. It can be raised later, not lowered."
  type        = number
  default     = 20

  validation {
    condition     = var.broker_storage_gib >= 1 && var.broker_storage_gib <= 16384 && floor(var.broker_storage_gib) == var.broker_storage_gib
    error_message = "broker_storage_gib must be a whole number from 1 to 16384."
  }
}

variable "retention_hours" {
  description = "How long records are kept, in hours: the longest that every consumer may be down without losing any."
  type        = number
  default     = 168
}

variable "topic" {
  description = "Topic of the readings."
  type        = string
  default     = "telemetry"
}

variable "partition_count" {
  description = "Partitions of the topic."
  type        = number
  default     = 6
}

variable "consumer_group_ids" {
  description = "Consumer groups that the other side reads as, for consumer_acls and acl_script; null: culvert-<application_name>, the analytics root's default. Name that one, too, beside those of long-running consumers."
  type        = set(string)
  default     = null

  validation {
    condition     = var.consumer_group_ids == null || try(length(var.consumer_group_ids) > 0 && alltrue([for group in var.consumer_group_ids : can(regex("^[a-zA-Z0-9._-]{1,200}$", group))]), false)
    error_message = "consumer_group_ids must be one name or more of 1 to 200 of a-z, A-Z, 0-9, . _ and -: every group by its own name."
  }
}

variable "credentials_version" {
  description = "Raise it, here first and then in the analytics root, to give the consumer a new password."
  type        = number
  default     = 1
}

variable "idle_timeout_seconds" {
  description = "After how long the private path forgets an idle connection. Clients' connections.max.idle.ms must be below it."
  type        = number
  default     = 900
}

variable "function_package" {
  description = "Path of the function's zip (make lambda), for the one that follows the brokers' addresses; not used with multi_vpc."
  type        = string
  default     = null

  validation {
    condition     = var.path == "multi_vpc" || var.function_package != null
    error_message = "function_package must name the function's zip (make lambda) with path endpoint_per_broker."
  }
}

variable "function_architecture" {
  description = "Processor that the function's zip was built for: x86_64 or arm64."
  type        = string
  default     = "x86_64"
}

variable "administrator_security_group_ids" {
  description = "Security groups in this VPC from which administrators reach the brokers' IAM listeners, to make ACLs (infra/README.md: First data)."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.administrator_security_group_ids : can(regex("^sg-[0-9a-f]+$", id))])
    error_message = "administrator_security_group_ids must be ids of security groups, such as sg-0123456789abcdef0."
  }
}

variable "sensors" {
  description = "Instances that produce readings; instance_count 0: none, your own producers write to the topic."
  type = object({
    instance_count     = optional(number, 1)
    instance_type      = optional(string, "t3.micro")
    architecture       = optional(string, "x86_64")
    image_id           = optional(string)
    devices            = optional(number, 10)
    records_per_second = optional(number, 100)
  })
  default = {}
}

variable "program_package" {
  description = "Path of the archive for the sensors (scripts/infra-program); not used without sensors."
  type        = string
  default     = null

  validation {
    condition     = var.sensors.instance_count == 0 || var.program_package != null
    error_message = "program_package must name the sensors' archive (scripts/infra-program), unless sensors.instance_count is 0."
  }
}

variable "recovery_window_in_days" {
  description = "Days during which deleted secrets can be restored: 0, or 7 to 30."
  type        = number
  default     = 7

  validation {
    condition     = contains(concat([0], range(7, 31)), var.recovery_window_in_days)
    error_message = "recovery_window_in_days must be 0 (deleted at once), or 7 to 30."
  }
}

variable "deletion_protection" {
  description = "Protect the load balancers from being deleted. Turn it off, apply, then destroy."
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "Days that logs are kept: one of the times that CloudWatch Logs knows, or 0 for ever."
  type        = number
  default     = 30

  validation {
    condition     = contains([0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653, or 0 for ever."
  }
}
