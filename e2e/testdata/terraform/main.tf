# What TestTerraform applies: people, an image, and an instance of their own.

terraform {
  required_providers {
    openstack = {
      source = "terraform-provider-openstack/openstack"
    }
  }
}

variable "auth_url" {}
variable "password" {}
variable "disk" {}

provider "openstack" {
  auth_url    = var.auth_url
  user_name   = "admin"
  password    = var.password
  tenant_name = "admin"
  domain_name = "Default"
  region      = "RegionOne"
}

# The one that the project's member uses.
provider "openstack" {
  alias       = "member"
  auth_url    = var.auth_url
  user_name   = openstack_identity_user_v3.anna.name
  password    = "anna-Passw0rd"
  tenant_name = openstack_identity_project_v3.web.name
  domain_name = "Default"
  region      = "RegionOne"
}

resource "openstack_identity_project_v3" "web" {
  name        = "web"
  description = "what the web needs"
  tags        = ["blue", "green"]
}

resource "openstack_identity_project_v3" "below" {
  name      = "web-test"
  parent_id = openstack_identity_project_v3.web.id
}

resource "openstack_identity_user_v3" "anna" {
  name                                  = "anna"
  default_project_id                    = openstack_identity_project_v3.web.id
  description                           = "who"
  password                              = "anna-Passw0rd"
  ignore_change_password_upon_first_use = true
  multi_factor_auth_enabled             = false
  extra = {
    email = "anna@example.org"
  }
}

resource "openstack_identity_group_v3" "staff" {
  name        = "staff"
  description = "those who work"
}

resource "openstack_identity_user_membership_v3" "anna_staff" {
  user_id  = openstack_identity_user_v3.anna.id
  group_id = openstack_identity_group_v3.staff.id
}

resource "openstack_identity_role_v3" "operator" {
  name = "operator"
}

data "openstack_identity_role_v3" "member" {
  name = "member"
}

resource "openstack_identity_role_assignment_v3" "anna_web" {
  user_id    = openstack_identity_user_v3.anna.id
  project_id = openstack_identity_project_v3.web.id
  role_id    = data.openstack_identity_role_v3.member.id
}

resource "openstack_identity_role_assignment_v3" "staff_web" {
  group_id   = openstack_identity_group_v3.staff.id
  project_id = openstack_identity_project_v3.web.id
  role_id    = openstack_identity_role_v3.operator.id
}

resource "openstack_identity_inherit_role_assignment_v3" "staff_below" {
  group_id   = openstack_identity_group_v3.staff.id
  project_id = openstack_identity_project_v3.web.id
  role_id    = data.openstack_identity_role_v3.member.id
}

resource "openstack_identity_service_v3" "backup" {
  name = "freezer"
  type = "backup"
}

resource "openstack_identity_endpoint_v3" "backup" {
  name            = "freezer"
  service_id      = openstack_identity_service_v3.backup.id
  endpoint_region = "RegionOne"
  interface       = "public"
  url             = "http://freezer.example.org/v1"
}

resource "openstack_compute_quotaset_v2" "web" {
  project_id = openstack_identity_project_v3.web.id
  instances  = 7
  cores      = 14
  ram        = 20480
}

resource "openstack_compute_flavor_v2" "tiny" {
  name      = "tf.tiny"
  ram       = 64
  vcpus     = 1
  disk      = 1
  is_public = true
  extra_specs = {
    "hw:cpu_policy" = "shared"
  }
}

resource "openstack_images_image_v2" "empty" {
  name             = "empty"
  container_format = "bare"
  disk_format      = "raw"
  local_file_path  = var.disk
  visibility       = "public"
  tags             = ["terraform"]
  properties = {
    colour = "red"
  }
}

resource "openstack_identity_application_credential_v3" "ci" {
  provider   = openstack.member
  name       = "ci"
  roles      = ["member", "reader"] # the newest Keystone spells out what is implied
  depends_on = [openstack_identity_role_assignment_v3.anna_web]
}

resource "openstack_identity_ec2_credential_v3" "signing" {
  provider   = openstack.member
  depends_on = [openstack_identity_role_assignment_v3.anna_web]
}

resource "openstack_compute_keypair_v2" "key" {
  provider   = openstack.member
  name       = "key"
  depends_on = [openstack_identity_role_assignment_v3.anna_web]
}

resource "openstack_compute_servergroup_v2" "apart" {
  provider   = openstack.member
  name       = "apart"
  policies   = ["anti-affinity"]
  depends_on = [openstack_identity_role_assignment_v3.anna_web]
}

resource "openstack_compute_instance_v2" "guest" {
  provider  = openstack.member
  name      = "guest"
  image_id  = openstack_images_image_v2.empty.id
  flavor_id = openstack_compute_flavor_v2.tiny.id
  key_pair  = openstack_compute_keypair_v2.key.name
  metadata = {
    role = "front"
  }
  scheduler_hints {
    group = openstack_compute_servergroup_v2.apart.id
  }
  depends_on = [openstack_compute_quotaset_v2.web]
}

output "instance" {
  value = openstack_compute_instance_v2.guest.id
}
