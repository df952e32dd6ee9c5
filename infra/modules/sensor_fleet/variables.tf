# SPDX-License-Identifier: Apache-2.0

variable "name" {
  description = "Prefix of every name, one per application."
  type        = string
}

variable "vpc_id" {
  description = "VPC of the brokers."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of the instances."
  type        = list(string)
}

variable "instance_count" {
  description = "Number of instances; a broken one is replaced."
  type        = number
  default     = 1

  validation {
    condition     = var.instance_count >= 0 && floor(var.instance_count) == var.instance_count
    error_message = "instance_count must be a whole number from 0."
  }
}

variable "instance_type" {
  description = "Size of an instance."
  type        = string
  default     = "t3.micro"
}

variable "architecture" {
  description = "Processor of the instances and of the program: x86_64 or arm64."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture must be x86_64 or arm64."
  }
}

variable "image_id" {
  description = "Machine image with systemd and curl >= 7.75; null: the latest Debian 12 when first applied."
  type        = string
  default     = null
}

variable "program_package" {
  description = "Path of the archive with bin/culvert and lib/ (scripts/infra-program makes it)."
  type        = string
}

variable "cluster_arn" {
  description = "ARN of the cluster."
  type        = string
}

variable "cluster_name" {
  description = "Name of the cluster, for the alarm."
  type        = string
}

variable "topic" {
  description = "Topic that the sensors write to."
  type        = string
}

variable "topic_arn" {
  description = "ARN of the topic."
  type        = string
}

variable "bootstrap_servers" {
  description = "host:port of the brokers' IAM listeners, separated by commas."
  type        = string
}

variable "port" {
  description = "Port of the brokers' IAM listeners."
  type        = number
  default     = 9098
}

variable "broker_security_group_id" {
  description = "Security group of the brokers; gets a rule for the sensors."
  type        = string
}

variable "s3_prefix_list_id" {
  description = "Addresses of the region's S3, from module network."
  type        = string
}

variable "kms_key_arn" {
  description = "KMS key of the bucket."
  type        = string
}

variable "devices" {
  description = "Number of simulated devices on each instance."
  type        = number
  default     = 10

  validation {
    condition     = var.devices >= 1 && floor(var.devices) == var.devices
    error_message = "devices must be a whole number from 1."
  }
}

variable "records_per_second" {
  description = "Readings a second of each instance, of all its devices together."
  type        = number
  default     = 100

  validation {
    condition     = var.records_per_second > 0
    error_message = "records_per_second must be above 0 (instance_count 0: no sensors)."
  }
}

variable "tags" {
  description = "Tags of the instances, their disks and network interfaces, which the provider's default tags do not reach."
  type        = map(string)
  default     = {}
}

variable "alarm_topic_arns" {
  description = "SNS topics that alarms notify."
  type        = list(string)
  default     = []
}
