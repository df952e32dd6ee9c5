# SPDX-License-Identifier: Apache-2.0

variable "name" {
  description = "Name of the cluster and prefix of every other name, one per application."
  type        = string
}

variable "vpc_id" {
  description = "VPC of the brokers."
  type        = string
}

variable "subnets" {
  description = "Subnets of the brokers by name, two or three, each in another zone (as module network gives them)."
  type = map(object({
    id      = string
    zone_id = string
  }))

  validation {
    condition     = contains([2, 3], length(var.subnets))
    error_message = "A cluster takes two or three subnets, each in another zone."
  }
}

variable "kafka_version" {
  description = "Kafka version in Amazon MSK's spelling."
  type        = string
  default     = "3.9.x.kraft"

  validation {
    condition     = can(regex("^(3[.]([6-9]|[1-9][0-9])|[4-9])[.]", var.kafka_version))
    error_message = "kafka_version must have support left: 3.6 or later."
  }
}

variable "broker_count" {
  description = "Number of brokers: a multiple of the number of subnets. It can be raised later, not lowered."
  type        = number
  default     = 3

  validation {
    condition     = var.broker_count >= 2 && var.broker_count <= 30 && floor(var.broker_count) == var.broker_count
    error_message = "broker_count must be a whole number from 2 to 30 (Amazon MSK's limit for a cluster, unless it was raised)."
  }
}

variable "instance_type" {
  description = "Size of a broker. kafka.t3.small is the cheapest; multi-VPC connectivity needs kafka.m7g.large or above."
  type        = string
  default     = "kafka.t3.small"
}

variable "storage_gib" {
  description = "Disk of each broker, in GiB. It can be raised later, not lowered."
  type        = number
  default     = 20
}

variable "retention_hours" {
  description = "How long records are kept, in hours: the longest that every consumer may be down without losing any."
  type        = number
  default     = 168

  validation {
    condition     = var.retention_hours >= 1 && floor(var.retention_hours) == var.retention_hours
    error_message = "retention_hours must be a whole number from 1."
  }
}

variable "server_properties" {
  description = "Kafka server properties on top of the module's own."
  type        = map(string)
  default     = {}

  validation {
    condition     = lookup(var.server_properties, "allow.everyone.if.no.acl.found", "false") == "false"
    error_message = "allow.everyone.if.no.acl.found must stay false: a topic without an ACL would be open to every user."
  }
}

variable "topics" {
  description = "Topics by name. Partitions can be added later, not removed; adding them moves devices to other partitions."
  type = map(object({
    partition_count = number
  }))
  default = {}

  validation {
    condition     = alltrue([for topic in var.topics : topic.partition_count >= 1 && floor(topic.partition_count) == topic.partition_count])
    error_message = "partition_count must be a whole number from 1."
  }
}

variable "scram_users" {
  description = "Users that log in by SCRAM, by name; reader_principal_arns may read the user's secret from another account. What a user does becomes output acls, which an administrator must make: until then the brokers refuse it. event_source_mapping: Lambda's pollers read as this user."
  type = map(object({
    reader_principal_arns = optional(set(string), [])
    consume_topics        = optional(set(string), [])
    consumer_groups       = optional(set(string), [])
    produce_topics        = optional(set(string), [])
    event_source_mapping  = optional(bool, false)
  }))
  default = {}

  validation {
    condition     = alltrue([for user in var.scram_users : length(setsubtract(setunion(user.consume_topics, user.produce_topics), keys(var.topics))) == 0])
    error_message = "scram_users names a topic that is not among topics."
  }

  validation {
    condition     = alltrue([for user in var.scram_users : (length(user.consume_topics) > 0) == (length(user.consumer_groups) > 0)])
    error_message = "Whoever consumes needs both consume_topics and consumer_groups."
  }

  # A literal name is what the ACL's command takes; * would be every group.
  validation {
    condition     = alltrue(flatten([for user in var.scram_users : [for group in user.consumer_groups : can(regex("^[a-zA-Z0-9._-]{1,200}$", group))]]))
    error_message = "consumer_groups must be 1 to 200 of a-z, A-Z, 0-9, . _ and -: every group by its own name."
  }

  validation {
    condition     = alltrue([for name in keys(var.scram_users) : can(regex("^[a-z][a-z0-9-]{0,30}$", name))])
    error_message = "User names must be a-z, 0-9 and -, beginning with a letter, at most 31 characters."
  }
}

variable "credentials_version" {
  description = "Raise it to give every SCRAM user a new password."
  type        = number
  default     = 1

  validation {
    condition     = var.credentials_version >= 1 && floor(var.credentials_version) == var.credentials_version
    error_message = "credentials_version must be a whole number from 1."
  }
}

variable "multi_vpc" {
  description = "Offer Amazon MSK's managed multi-VPC connectivity (with IAM) to client_principal_arns."
  type        = bool
  default     = false
}

variable "client_principal_arns" {
  description = "Accounts or roles that may connect by multi-VPC connectivity; needed where multi_vpc is on."
  type        = set(string)
  default     = []

  validation {
    condition     = !var.multi_vpc || length(var.client_principal_arns) > 0
    error_message = "client_principal_arns must name somebody where multi_vpc is on."
  }
}

variable "kms_key_arn" {
  description = "KMS key of the brokers' disks and logs; its policy must let CloudWatch Logs of the region use it."
  type        = string
}

variable "recovery_window_in_days" {
  description = "Days during which a deleted user secret can be restored: 0, or 7 to 30."
  type        = number
  default     = 7
}

variable "log_retention_days" {
  description = "Days that broker logs are kept."
  type        = number
  default     = 30
}

variable "alarm_topic_arns" {
  description = "SNS topics that alarms notify."
  type        = list(string)
  default     = []
}
