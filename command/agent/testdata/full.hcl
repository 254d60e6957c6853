# Every setting that there is, with values that differ from the defaults. TestFullFixture fails for one that is missing.
name      = "n1"
region    = "north"
zone      = "z1"
data_dir  = "DIR/data"
bind_addr = "10.0.0.1"
log_level = "debug"
log_json  = true

server {
  enabled                 = true
  bootstrap_expect        = 3
  encrypt                 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
  retry_join              = ["10.0.0.2", "s3.example.org:5748", "fd00::1"]
  retry_interval          = "7s"
  retry_max_attempts      = 5
  token_ttl               = "2h"
  reclaim_interval        = "24h"
  shelved_offload_after   = "48h"
  lease_ttl               = "40s"
  heartbeat_interval      = "9s"
  raft_snapshot_interval  = "3m"
  raft_snapshot_threshold = 100
  raft_trailing_logs      = 200
  raft_multiplier         = 5
  policy_file             = "DIR/policy.yaml"

  scheduler {
    workers      = 3
    filters      = ["ComputeFilter", "ImagePropertiesFilter"]
    weights      = { ram = 1.5, cpu = -1 }
    cpu_ratio    = 8

    metric_weights               = { "cpu.percent" = -1.5 }
    metrics_required             = false
    metric_weight_of_unavailable = -5

    memory_ratio = 1.25
    disk_ratio   = 2

    resize_to_same_host = false
  }

  consoles {
    vnc_url          = "https://consoles.example.org:6080/vnc_auto.html"
    spice_url        = "https://consoles.example.org:6082/spice_auto.html"
    spice_direct_url = "https://consoles.example.org:13002/kilonova"
    serial_url       = "wss://consoles.example.org:6083/"
    mks_url          = "https://consoles.example.org:6090/"
    token_ttl        = "5m"
  }

  image {
    mode           = "glance"
    endpoint       = "https://glance.example.org:9292"
    auth_url       = "https://identity.example.org/v3"
    username       = "images"
    password_file  = "DIR/glance-password"
    user_domain    = "Services"
    project        = "images"
    project_domain = "Services"
    ca_file        = "DIR/ca.pem"

    image_size_total      = 10240
    image_stage_total     = 2048
    image_count_total     = 50
    image_count_uploading = 4
    copies                = 2
    verify_interval       = "24h"

    enabled_import_methods = ["web-download", "copy-image"]
    task_time_to_live      = "24h"
    default_store          = "far"
    web_download {
      allowed_schemes    = ["https"]
      disallowed_schemes = ["http"]
      allowed_hosts      = ["images.example.org"]
      disallowed_hosts   = ["bad.example.org"]
      allowed_ports      = [443, 8443]
      disallowed_ports   = [22]
      allowed_networks   = ["10.1.0.0/16"]
    }
    s3 "far" {
      description     = "another site"
      endpoint        = "https://s3.example.org"
      bucket          = "images"
      region          = "eu-1"
      access_key      = "kilonova"
      secret_key_file = "DIR/s3.secret"
      path_style      = false
      prefix          = "kilonova/"
    }
    s3 "near" {
      endpoint   = "http://10.0.0.9:7070"
      bucket     = "images"
      access_key = "kilonova"
      secret_key = "hunter2"
    }
  }

  identity {
    mode           = "keystone"
    auth_url       = "https://keystone.example.org/v3"
    username       = "kilonova"
    password_file  = "DIR/keystone-password"
    user_domain    = "Services"
    project        = "service"
    project_domain = "Services"
    cache_time     = "1m"
    ca_file        = "DIR/ca.pem"

    lockout_failure_attempts           = 5
    lockout_duration                   = "10m"
    password_expires_days              = 90
    minimum_password_age               = 1
    unique_last_password_count         = 4
    password_regex                     = "^(?=.*[0-9])(?=.*[a-z]).{10,}$"
    password_regex_description         = "ten characters with a digit and a letter"
    disable_user_account_days_inactive = 60
    change_password_upon_first_use     = true
    max_project_tree_depth             = 7
    credential_auth_ttl                = "20m"
    max_redelegation_count             = 2
    receipt_expiration                 = "10m"
    password_hash_rounds               = 11
    password_checks_at_once            = 2
  }

  notifications {
    enabled                = false
    notify_on_state_change = "vm_and_task_state"
    usage_audit_period     = "month@15"

    webhook "audit" {
      url     = "https://user:hunter2@hooks.example.org/kilonova"
      secret  = "hunter2"
      events  = ["instance.*", "*.error"]
      timeout = "3s"
    }

    webhook "files" {
      url_file    = "DIR/webhook.url"
      secret_file = "DIR/webhook.secret"
    }

    amqp "bus" {
      url      = "amqps://nova:hunter2@mq.example.org/"
      exchange = "cloud"
      topics   = ["versioned_notifications", "second"]
      durable  = true
      events   = ["instance.*"]
      timeout  = "4s"
    }

    amqp "files" {
      url_file = "DIR/amqp.url"
    }
  }
}

client {
  enabled            = true
  encrypt            = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
  retry_join         = ["10.0.0.2:4748"]
  retry_interval     = "8s"
  retry_max_attempts = 6
  drivers            = ["fake"]
  state_dir          = "DIR/state"
  simulated_hosts    = 4
  cpu_metrics        = true

  reserved {
    vcpus      = 1
    memory_mib = 512
    disk_gib   = 10
  }
}

tls {
  http                   = true
  rpc                    = true
  ca_file                = "DIR/ca.pem"
  cert_file              = "DIR/agent.pem"
  key_file               = "DIR/agent-key.pem"
  verify_https_client    = true
  verify_server_hostname = false
}

ports {
  http = 5746
  rpc  = 5747
  serf = 5748
}

addresses {
  http = "0.0.0.0"
  rpc  = "10.0.0.5"
  serf = "fd00::5"
}

advertise {
  http = "api.example.org"
  rpc  = "10.0.0.6:6747"
  serf = "[fd00::6]:6748"
}

telemetry {
  prometheus = false
}

plugin "fake" {
  config {
    latency  = "5ms"
    failures = { spawn = 2 }
    on       = [true, null, 1.5]
  }
}

plugin "acme" {
  path = "DIR/acme"
  args = ["-v"]
  config {
    password = "hunter2"
  }
}
