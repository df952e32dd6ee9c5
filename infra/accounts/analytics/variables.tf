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
  default     = "10.0.0.0/16"
}

variable "public_subnets" {
  description = "Public subnets by name; nothing of culvert runs in them."
  type = map(object({
    cidr_block        = string
    availability_zone = string
  }))
  default = {
    public_a = { cidr_block = "10.0.101.0/24", availability_zone = "eu-central-1a" }
    public_b = { cidr_block = "10.0.102.0/24", availability_zone = "eu-central-1b" }
  }
}

variable "private_subnets" {
  description = "Private subnets of the endpoints and the function by name, each in another zone; with multi_vpc one in each zone of the cluster."
  type = map(object({
    cidr_block        = string
    availability_zone = string
  }))
  default = {
    private_a = { cidr_block = "10.0.1.0/24", availability_zone = "eu-central-1a" }
    private_b = { cidr_block = "10.0.2.0/24", availability_zone = "eu-central-1b" }
  }
}

variable "nat_gateway_public_subnet" {
  description = "Name of the public subnet that holds a NAT gateway; null: none. culvert needs none."
  type        = string
  default     = null
}

variable "connection_secret_arn" {
  description = "The stream root's output of that name: the full ARN of the hand-over."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:.+-[0-9A-Za-z]{6}$", var.connection_secret_arn))
    error_message = "connection_secret_arn must be a full ARN with its six last characters: another account's secret is found by nothing less."
  }

  validation {
    condition     = try(split(":", var.connection_secret_arn)[3], "") == var.region
    error_message = "connection_secret_arn is of another region than this root: private links do not cross regions."
  }
}

variable "credentials_secret_arn" {
  description = "The stream root's output of that name: the full ARN of the consumer's user; null with multi_vpc."
  type        = string
  default     = null

  validation {
    condition     = var.path == "multi_vpc" || can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:AmazonMSK_.+-[0-9A-Za-z]{6}$", var.credentials_secret_arn))
    error_message = "credentials_secret_arn must be the full ARN of an AmazonMSK_ secret with path endpoint_per_broker."
  }

  validation {
    condition     = var.credentials_secret_arn == null || try(split(":", var.credentials_secret_arn)[3], "") == var.region
    error_message = "credentials_secret_arn is of another region than this root: private links do not cross regions."
  }
}

variable "client_security_group_ids" {
  description = "Security groups of long-running consumers (culvert consume) in this VPC by name: each gets a way to the brokers."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name, id in var.client_security_group_ids : name != "mapping" && can(regex("^sg-[0-9a-f]+$", id))])
    error_message = "client_security_group_ids must be ids of security groups, such as sg-0123456789abcdef0, by names other than mapping."
  }
}

variable "client_consumer_group_id" {
  description = "Consumer group of long-running consumers, for client_policy; with endpoint_per_broker the stream root's consumer_group_ids lets it in."
  type        = string
  default     = "culvert-consume"

  validation {
    condition     = can(regex("^[a-zA-Z0-9._-]{1,200}$", var.client_consumer_group_id))
    error_message = "client_consumer_group_id must be 1 to 200 of a-z, A-Z, 0-9, . _ and -."
  }
}

variable "secrets_endpoint" {
  description = "An interface endpoint by which the consumers of client_security_group_ids read the two handed-over secrets and nothing else (about 9 dollars a month in each private subnet). null: where such consumers are named and there is no NAT gateway; false: they get both documents as files."
  type        = bool
  default     = null

  validation {
    condition     = var.secrets_endpoint != true || length(var.client_security_group_ids) > 0
    error_message = "secrets_endpoint lets in the groups of client_security_group_ids, and none is named: nobody could use it."
  }
}

variable "credentials_version" {
  description = "Raise it after the stream root's, to copy the new password."
  type        = number
  default     = 1
}

variable "topic" {
  description = "Topic of the readings."
  type        = string
  default     = "telemetry"
}

variable "consumer_group_id" {
  description = "Consumer group of the mapping; null: culvert-<application_name>, which the stream root's consumer_acls name. A mapping that is made again goes on where the old one was."
  type        = string
  default     = null
}

variable "batch_size" {
  description = "Most records in one batch, 1000 to 10000."
  type        = number
  default     = 5000
}

variable "batching_window_seconds" {
  description = "How long a batch may wait to fill, in seconds."
  type        = number
  default     = 5
}

variable "poller" {
  description = "Who polls: provisioned (about 133 dollars a month per shared unit, no endpoints) or on_demand (no fixed cost but for three interface endpoints)."
  type = object({
    mode       = optional(string, "provisioned")
    minimum    = optional(number, 1)
    maximum    = optional(number, 1)
    group_name = optional(string, "culvert")
  })
  default = {}
}

variable "on_failure" {
  description = "Where to send a batch that was tried too often (SQS or SNS); null: nothing is ever given up."
  type = object({
    destination_arn            = string
    maximum_retry_attempts     = number
    maximum_record_age_seconds = optional(number, -1)
  })
  default = null
}

variable "window" {
  description = "Windows: size, advance (null: the size), out_of_orderness, allowed_lateness."
  type = object({
    size             = optional(string, "1m")
    advance          = optional(string)
    out_of_orderness = optional(string, "5s")
    allowed_lateness = optional(string, "1h")
  })
  default = {}
}

variable "generation" {
  description = "Raise it when the topic was deleted and made again, since its offsets begin anew."
  type        = number
  default     = 1
}

variable "device_id_type" {
  description = "Type of device ids in the table: N (numbers) or S (text). It cannot be changed later."
  type        = string
  default     = "N"
}

variable "function_package" {
  description = "Path of the function's zip, as make lambda leaves it."
  type        = string
}

variable "function_architecture" {
  description = "Processor that the function's zip was built for: x86_64 or arm64."
  type        = string
  default     = "x86_64"
}

variable "memory_mib" {
  description = "Memory of the function, in MiB."
  type        = number
  default     = 512

  validation {
    condition     = var.memory_mib >= 128 && var.memory_mib <= 10240 && floor(var.memory_mib) == var.memory_mib
    error_message = "memory_mib must be a whole number from 128 to 10240."
  }
}

variable "reserved_concurrency" {
  description = "Most instances of the function at once; one per partition is enough. -1: the account's limit."
  type        = number
  default     = 20
}

variable "lag_records_max" {
  description = "Alarm when the function is so many records behind: what the topic gets in the time that you can wait."
  type        = number
  default     = 100000

  validation {
    condition     = var.lag_records_max >= 1
    error_message = "lag_records_max must be at least 1."
  }
}

variable "log_level" {
  description = "Least level that the function logs: DEBUG, INFO, WARN or ERROR."
  type        = string
  default     = "INFO"

  validation {
    condition     = contains(["DEBUG", "INFO", "WARN", "ERROR"], var.log_level)
    error_message = "log_level must be DEBUG, INFO, WARN or ERROR."
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
  description = "Protect the tables from being deleted. Turn it off, apply, then destroy."
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
