package compute_test

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// sampleTables say how Nova's samples are asked for.
var sampleTables = [][]sampleRow{serverSamples, instanceSamples, migrationSamples, consoleSamples, flavorSamples, projectSamples, hostSamples, proxySamples, serviceSamples, goneSamples}

const sampleAction = "/servers/{server}/action"

var serverSamples = []sampleRow{
	{"servers", "server-create-req", "", "202 POST /servers", (*world).ready, ""},
	{"servers", "", "server-create-resp", "202 POST /servers", newest("server-create-req"), ""},
	{"servers", "server-create-req-v237", "", "202 POST /servers", (*world).ready, ""},
	{"servers", "server-create-req-v257", "", "202 POST /servers", (*world).ready, ""},
	{"servers", "server-create-req-with-host-and-node", "", "202 POST /servers", (*world).ready, ""},
	{"servers", "server-create-req-with-only-host", "", "202 POST /servers", (*world).ready, ""},
	{"servers", "server-create-req-with-only-node", "", "202 POST /servers", (*world).ready, ""},
	{"servers", "", "server-get-resp", "200 GET /servers/{server}", nil, looseDetails},
	{"servers", "", "server-get-down-cell-resp", "200 GET /servers/{server}", nil, ""},
	{"servers", "server-update-req", "server-update-resp", "200 PUT /servers/{server}", nil, "accessIPv4 accessIPv6"},
	{"servers", "server-put-req", "server-put-resp", "200 PUT /servers/{server}", nil, ""},
	{"servers", "", "servers-details-resp", "200 GET /servers/detail?{page}", (*world).planted, looseDetails},
	{"servers", "", "servers-list-resp", "200 GET /servers?{page}", (*world).planted, ""},
	{"servers", "", "servers-list-status-resp", "200 GET /servers?status=active&{page}", (*world).planted, ""},
	{"servers", "", "servers-details-with-changes-before", "200 GET /servers/detail?changes-before=2099-01-01T00:00:00Z", (*world).planted, looseDetails},
	{"servers", "", "servers-list-with-changes-before", "200 GET /servers?changes-before=2099-01-01T00:00:00Z", (*world).planted, ""},
	{"servers-sort", "", "server-sort-keys-list-resp", "200 GET /servers?sort_key=display_name&sort_dir=asc", (*world).planted, ""},
	{"servers", "server-action-rebuild", "", "202 POST " + sampleAction, (*world).rekeyed, ""},
	{"servers", "", "server-action-rebuild-resp", "202 POST " + sampleAction, newest("server-action-rebuild"), looseRebuild},
	{"os-preserve-ephemeral-rebuild", "server-action-rebuild-preserve-ephemeral", "server-action-rebuild-preserve-ephemeral-resp", "202 POST " + sampleAction, nil, looseRebuild},
	{"servers", "server-action-create-image", "server-action-create-image-resp", "202 POST " + sampleAction, nil, ""},
	{"servers", "server-action-reboot", "", "202 POST " + sampleAction, nil, ""},
	{"servers", "server-action-start", "", "202 POST " + sampleAction, afterActs(`{"os-stop": null}`), ""},
	{"servers", "server-action-stop", "", "202 POST " + sampleAction, nil, ""},
	{"servers", "server-action-trigger-crash-dump", "", "202 POST " + sampleAction, nil, ""},
	{"servers", "server-action-addfloatingip-req", "", "202 POST " + sampleAction, nil, ""},
	{"servers", "server-action-removefloatingip-req", "", "202 POST " + sampleAction, nil, ""},
	{"servers", "server-groups-post-req", "server-groups-post-resp", "200 POST /os-server-groups", nil, ""},
	{"servers", "lock-server-with-reason", "", "202 POST " + sampleAction, nil, ""},
	{"os-multiple-create", "multiple-create-no-resv-post-req", "multiple-create-no-resv-post-resp", "202 POST /servers", (*world).ready, ""},
	{"os-multiple-create", "multiple-create-post-req", "multiple-create-post-resp", "202 POST /servers", (*world).ready, ""},
}

// looseRebuild: the sample's cloud ends the rebuild before it answers.
const looseRebuild = "status OS-EXT-STS:task_state OS-EXT-SRV-ATTR:hostname"

// looseDetails are what the samples show now as null and now as an empty text.
const looseDetails = "description locked_reason OS-EXT-SRV-ATTR:kernel_id OS-EXT-SRV-ATTR:ramdisk_id OS-EXT-SRV-ATTR:user_data"

var instanceSamples = []sampleRow{
	{"os-lock-server", "lock-server", "", "202 POST " + sampleAction, nil, ""},
	{"os-lock-server", "lock-server-with-reason", "", "202 POST " + sampleAction, nil, ""},
	{"os-lock-server", "unlock-server", "", "202 POST " + sampleAction, afterActs(`{"lock": null}`), ""},
	{"os-pause-server", "pause-server", "", "202 POST " + sampleAction, nil, ""},
	{"os-pause-server", "unpause-server", "", "202 POST " + sampleAction, afterActs(`{"pause": null}`), ""},
	{"os-suspend-server", "server-suspend", "", "202 POST " + sampleAction, nil, ""},
	{"os-suspend-server", "server-resume", "", "202 POST " + sampleAction, afterActs(`{"suspend": null}`), ""},
	{"os-shelve", "os-shelve", "", "202 POST " + sampleAction, nil, ""},
	{"os-shelve", "os-shelve-offload", "", "202 POST " + sampleAction, (*world).kept, ""},
	{"os-shelve", "os-unshelve", "", "202 POST " + sampleAction, (*world).shelved, ""},
	{"os-shelve", "os-unshelve-az", "", "202 POST " + sampleAction, (*world).shelved, ""},
	{"os-shelve", "os-unshelve-az-host", "", "202 POST " + sampleAction, (*world).shelved, ""},
	{"os-shelve", "os-unshelve-host", "", "202 POST " + sampleAction, (*world).shelved, ""},
	{"os-shelve", "os-unshelve-host-and-unpin-az", "", "202 POST " + sampleAction, (*world).shelved, ""},
	{"os-shelve", "os-unshelve-unpin-az", "", "202 POST " + sampleAction, (*world).shelved, ""},
	{"os-rescue", "server-rescue-req", "server-rescue", "200 POST " + sampleAction, nil, ""},
	{"os-rescue", "server-rescue-req-with-image-ref", "", "200 POST " + sampleAction, nil, ""},
	{"os-rescue", "server-unrescue-req", "", "202 POST " + sampleAction, afterActs(`{"rescue": null}`), ""},
	{"os-rescue", "", "server-get-resp-rescue", "200 GET /servers/{server}", afterActs(`{"rescue": null}`), "locked_reason OS-EXT-STS:power_state"},
	{"os-rescue", "", "server-get-resp-unrescue", "200 GET /servers/{server}", afterActs(`{"rescue": null}`, `{"unrescue": null}`), "locked_reason"},
	{"os-create-backup", "create-backup-req", "create-backup-resp", "202 POST " + sampleAction, nil, ""},
	{"os-deferred-delete", "force-delete-post-req", "", "202 POST " + sampleAction, nil, ""},
	{"os-deferred-delete", "restore-post-req", "", "202 POST " + sampleAction, (*world).softDeleted, ""},
	{"os-admin-actions", "admin-actions-reset-server-state", "", "202 POST " + sampleAction, nil, ""},
	{"os-admin-actions", "admin-actions-inject-network-info", "", "202 POST " + sampleAction, nil, ""},
	{"os-admin-password", "admin-password-change-password", "", "202 POST " + sampleAction, nil, ""},
	{"os-console-output", "console-output-post-req", "console-output-post-resp", "200 POST " + sampleAction, nil, ""},
	{"os-instance-actions", "", "instance-actions-list-resp", "200 GET /servers/{server}/os-instance-actions", (*world).eventful, ""},
	{"os-instance-actions", "", "instance-action-get-resp", "200 GET /servers/{server}/os-instance-actions/{action}", (*world).eventful, ""},
	{"os-instance-actions", "", "instance-action-get-non-admin-resp", "200 GET /servers/{server}/os-instance-actions/{action}", (*world).eventful, ""},
	{"os-instance-actions", "", "instance-actions-list-with-changes-since", "200 GET /servers/{server}/os-instance-actions?changes-since={since}", (*world).eventful, ""},
	{"os-instance-actions", "", "instance-actions-list-with-changes-before", "200 GET /servers/{server}/os-instance-actions?changes-before=2099-01-01T00:00:00Z", (*world).eventful, ""},
	{"os-instance-actions", "", "instance-actions-list-with-limit-resp", "200 GET /servers/{server}/os-instance-actions?limit=1", (*world).eventful, ""},
	{"os-instance-actions", "", "instance-actions-list-with-marker-resp", "200 GET /servers/{server}/os-instance-actions?marker={action}", (*world).eventful, ""},
	{"server-metadata", "server-metadata-all-req", "server-metadata-all-resp", "200 PUT /servers/{server}/metadata", nil, ""},
	{"server-metadata", "", "server-metadata-all-resp", "200 GET /servers/{server}/metadata", (*world).metadata, ""},
	{"server-metadata", "", "server-metadata-resp", "200 GET /servers/{server}/metadata/foo", (*world).metadata, ""},
	{"server-metadata", "server-metadata-req", "", "200 PUT /servers/{server}/metadata/foo", (*world).metadata, ""},
	{"os-server-tags", "server-tags-put-all-req", "server-tags-put-all-resp", "200 PUT /servers/{server}/tags", nil, ""},
	{"os-server-tags", "", "server-tags-index-resp", "200 GET /servers/{server}/tags", (*world).tagged, ""},
	{"os-server-tags", "", "server-tags-show-details-resp", "200 GET /servers/{server}", nil, ""},
	{"os-server-tags", "", "servers-tags-details-resp", "200 GET /servers/detail?{page}", (*world).planted, looseDetails},
	{"os-server-groups", "server-groups-post-req", "server-groups-post-resp", "200 POST /os-server-groups", nil, ""},
	{"os-server-groups", "", "server-groups-get-resp", "200 GET /os-server-groups/{group}", (*world).grouped, ""},
	{"os-server-groups", "", "server-groups-list-resp", "200 GET /os-server-groups", (*world).grouped, ""},
}

var flavorSamples = []sampleRow{
	{"flavors", "", "flavor-get-resp", "200 GET /flavors/{flavor}", (*world).sampledFlavor, ""},
	{"flavors", "", "flavors-list-resp", "200 GET /flavors", (*world).listedFlavors, ""},
	{"flavors", "", "flavors-detail-resp", "200 GET /flavors/detail", (*world).listedFlavors, ""},
	{"flavor-manage", "flavor-create-post-req", "flavor-create-post-resp", "200 POST /flavors", nil, ""},
	{"flavor-manage", "flavor-update-req", "flavor-update-resp", "200 PUT /flavors/1", nil, ""},
	{"flavor-access", "flavor-create-req", "", "200 POST /flavors", nil, ""},
	{"flavor-access", "flavor-access-add-tenant-req", "flavor-access-add-tenant-resp", "200 POST /flavors/10/action", (*world).privateFlavor, ""},
	{"flavor-access", "flavor-access-remove-tenant-req", "flavor-access-remove-tenant-resp", "200 POST /flavors/10/action", (*world).accessedFlavor, ""},
	{"flavor-access", "", "flavor-access-list-resp", "200 GET /flavors/10/os-flavor-access", (*world).accessedFlavor, ""},
	{"flavor-extra-specs", "flavor-extra-specs-create-req", "flavor-extra-specs-create-resp", "200 POST /flavors/1/os-extra_specs", nil, ""},
	{"flavor-extra-specs", "", "flavor-extra-specs-list-resp", "200 GET /flavors/1/os-extra_specs", (*world).specs, ""},
	{"flavor-extra-specs", "", "flavor-extra-specs-get-resp", "200 GET /flavors/1/os-extra_specs/hw:numa_nodes", (*world).specs, ""},
	{"flavor-extra-specs", "flavor-extra-specs-update-req", "flavor-extra-specs-update-resp", "200 PUT /flavors/1/os-extra_specs/hw:numa_nodes", (*world).specs, ""},
}

var projectSamples = []sampleRow{
	{"os-keypairs", "", "keypairs-get-resp", "200 GET /os-keypairs/{key}", withKeyOf(adminUser), "name"},
	{"os-keypairs", "", "keypairs-list-resp", "200 GET /os-keypairs?{page}", withKeyOf(adminUser), "name"},
	{"os-keypairs", "", "keypairs-list-user1-resp", "200 GET /os-keypairs?user_id=user1", withKeyOf("user1"), "name"},
	{"os-keypairs", "", "keypairs-list-user2-resp", "200 GET /os-keypairs?user_id=user2&limit=1", withKeyOf("user2"), "name"},
	{"os-keypairs", "keypairs-post-req", "keypairs-post-resp", "{created} POST /os-keypairs", (*world).madeKey, "name"},
	{"os-keypairs", "keypairs-import-post-req", "keypairs-import-post-resp", "{created} POST /os-keypairs", (*world).madeKey, "name"},
	{"limits", "", "limit-get-resp", "200 GET /limits", nil, ""},
	{"os-quota-sets", "", "quotas-show-get-resp", "200 GET /os-quota-sets/{project}", nil, "id"},
	{"os-quota-sets", "", "quotas-show-defaults-get-resp", "200 GET /os-quota-sets/{project}/defaults", nil, "id"},
	{"os-quota-sets", "", "quotas-show-detail-get-resp", "200 GET /os-quota-sets/{project}/detail", nil, "id"},
	{"os-quota-sets", "quotas-update-post-req", "quotas-update-post-resp", "200 PUT /os-quota-sets/{project}", nil, "id"},
	{"os-quota-sets", "quotas-update-force-post-req", "quotas-update-force-post-resp", "200 PUT /os-quota-sets/{project}", nil, "id"},
	{"os-quota-sets", "", "user-quotas-show-get-resp", "200 GET /os-quota-sets/{project}?user_id={user}", nil, "id"},
	{"os-quota-sets", "user-quotas-update-post-req", "user-quotas-update-post-resp", "200 PUT /os-quota-sets/{project}?user_id={user}", nil, "id"},
	{"os-quota-class-sets", "", "quota-classes-show-get-resp", "200 GET /os-quota-class-sets/{class}", (*world).class, ""},
	{"os-quota-class-sets", "quota-classes-update-post-req", "quota-classes-update-post-resp", "200 PUT /os-quota-class-sets/test_class", nil, ""},
	{"os-simple-tenant-usage", "", "simple-tenant-usage-get", "200 GET /os-simple-tenant-usage?{hour}&{page}", (*world).used, looseUsage},
	{"os-simple-tenant-usage", "", "simple-tenant-usage-get-detail", "200 GET /os-simple-tenant-usage?detailed=1&{hour}&{page}", (*world).used, looseUsage},
	{"os-simple-tenant-usage", "", "simple-tenant-usage-get-specific", "200 GET /os-simple-tenant-usage/{project}?{hour}&{page}", (*world).used, looseUsage},
	{"os-simple-tenant-usage", "", "simple-tenant-usage-get-all", "200 GET /os-simple-tenant-usage?detailed=1&{hour}", (*world).used, looseUsage + " tenant_usages server_usages"},
	{"os-instance-usage-audit-log", "", "inst-usage-audit-log-index-get-resp", "200 GET /os-instance_usage_audit_log", nil, "*"},
	{"os-instance-usage-audit-log", "", "inst-usage-audit-log-show-get-resp", "200 GET /os-instance_usage_audit_log/2012-07-06%2022:00:00", nil, "*"},
}

const looseUsage = "hours total_hours total_local_gb_usage total_memory_mb_usage total_vcpus_usage uptime name start stop"

// looseLoad is what hangs on the load, and numbers.
const looseLoad = "id disk_available_least name vcpus_used memory_mb_used free_ram_mb local_gb_used free_disk_gb running_vms"

var hostSamples = []sampleRow{
	{"os-aggregates", "aggregate-post-req", "aggregate-post-resp", "200 POST /os-aggregates", nil, "availability_zone"},
	{"os-aggregates", "", "aggregates-list-get-resp", "200 GET /os-aggregates", (*world).london, "hosts"},
	{"os-aggregates", "", "aggregates-get-resp", "200 GET /os-aggregates/1", (*world).london, ""},
	{"os-aggregates", "aggregate-update-post-req", "aggregate-update-post-resp", "200 PUT /os-aggregates/1", (*world).london, ""},
	{"os-aggregates", "aggregate-add-host-post-req", "aggregates-add-host-post-resp", "200 POST /os-aggregates/1/action", (*world).london, "hosts"},
	{"os-aggregates", "aggregate-remove-host-post-req", "aggregates-remove-host-post-resp", "200 POST /os-aggregates/1/action", (*world).london, ""},
	{"os-aggregates", "aggregate-metadata-post-req", "aggregates-metadata-post-resp", "200 POST /os-aggregates/1/action", (*world).london, ""},
	{"os-aggregates", "aggregate-images-post-req", "", "202 POST /os-aggregates/1/images", (*world).london, ""},
	{"os-services", "", "services-list-get-resp", "200 GET /os-services", (*world).twoHosts, "services disabled_reason updated_at status state zone binary id"},
	{"os-services", "service-disable-put-req", "service-disable-put-resp", "200 PUT /os-services/{disable}", (*world).serviced, ""},
	{"os-services", "service-disable-log-put-req", "service-disable-log-put-resp", "200 PUT /os-services/{disable-log}", (*world).serviced, ""},
	{"os-services", "service-enable-put-req", "service-enable-put-resp", "200 PUT /os-services/{enable}", (*world).serviced, ""},
	{"os-services", "service-force-down-put-req", "service-force-down-put-resp", "200 PUT /os-services/{force-down}", (*world).serviced, ""},
	{"os-hypervisors", "", "hypervisors-list-resp", "200 GET /os-hypervisors?{page}", nil, looseLoad},
	{"os-hypervisors", "", "hypervisors-detail-resp", "200 GET /os-hypervisors/detail?{page}", nil, looseLoad},
	{"os-hypervisors", "", "hypervisors-detail-with-servers-resp", "200 GET /os-hypervisors/detail?with_servers=1", (*world).twoServers, looseLoad},
	{"os-hypervisors", "", "hypervisors-show-resp", "200 GET /os-hypervisors/{hypervisor}", (*world).hypervisor, looseLoad},
	{"os-hypervisors", "", "hypervisors-show-with-servers-resp", "200 GET /os-hypervisors/{hypervisor}?with_servers=1", (*world).twoServers, looseLoad},
	{"os-hypervisors", "", "hypervisors-search-resp", "200 GET {search}", (*world).hypervisor, looseLoad},
	{"os-hypervisors", "", "hypervisors-with-servers-resp", "200 GET {servers}", (*world).twoServers, looseLoad},
	{"os-hypervisors", "", "hypervisors-without-servers-resp", "200 GET {servers}", (*world).hypervisor, looseLoad},
	{"os-hypervisors", "", "hypervisors-statistics-resp", "200 GET /os-hypervisors/statistics", nil, looseLoad},
	{"os-hypervisors", "", "hypervisors-uptime-resp", "200 GET /os-hypervisors/{hypervisor}/uptime", (*world).upHost, "id uptime"},
	{"os-availability-zone", "", "availability-zone-list-resp", "200 GET /os-availability-zone", nil, ""},
	{"os-availability-zone", "", "availability-zone-detail-resp", "200 GET /os-availability-zone/detail", nil, "updated_at"},
	{"os-hosts", "", "hosts-list-resp", "200 GET /os-hosts", nil, "*"},
	{"os-hosts", "", "host-get-resp", "200 GET /os-hosts/compute", nil, ""},
	{"os-hosts", "", "host-get-reboot", "200 GET /os-hosts/compute/reboot", (*world).powered, ""},
	{"os-hosts", "", "host-get-shutdown", "200 GET /os-hosts/compute/shutdown", (*world).powered, ""},
	{"os-hosts", "", "host-get-startup", "200 GET /os-hosts/compute/startup", (*world).powered, ""},
	{"os-hosts", "host-put-maintenance-req", "host-put-maintenance-resp", "200 PUT /os-hosts/compute", (*world).powered, ""},
}

var proxySamples = []sampleRow{
	{"images", "", "image-get-resp", "200 GET /images/" + sampleImage, (*world).imaged, "name"},
	{"images", "", "images-list-get-resp", "200 GET /images", (*world).gallerySample, "name ramdisk_id"},
	{"images", "", "images-details-get-resp", "200 GET /images/detail", (*world).gallerySample, "name ramdisk_id"},
	{"images", "", "image-metadata-get-resp", "200 GET /images/" + sampleImage + "/metadata", (*world).imaged, ""},
	{"images", "image-metadata-post-req", "image-metadata-post-resp", "200 POST /images/" + sampleImage + "/metadata", (*world).imaged, ""},
	{"images", "image-metadata-put-req", "image-metadata-put-resp", "200 PUT /images/" + sampleImage + "/metadata", (*world).imaged, ""},
	{"images", "", "image-meta-key-get", "200 GET /images/" + sampleImage + "/metadata/kernel_id", (*world).imaged, ""},
	{"images", "image-meta-key-put-req", "image-meta-key-put-resp", "200 PUT /images/" + sampleImage + "/metadata/auto_disk_config", (*world).imaged, ""},
	{"versions", "", "versions-get-resp", "200 GET ~/compute/", nil, "href"},
	{"versions", "", "v21-version-get-resp", "200 GET ~/compute/v2.1/", nil, "href"},
	{"versions", "", "v2-version-get-resp", "200 GET ~/compute/v2/", nil, "href"},
	{"extension-info", "", "extensions-list-resp", "200 GET /extensions", nil, "description"},
	{"extension-info", "", "extensions-list-resp-v21-compatible", "200 GET ~/compute/v2/{project}/extensions", nil, "description"},
	{"extension-info", "", "extensions-get-resp", "200 GET /extensions/os-agents", nil, "description"},
	{"os-networks", "", "networks-list-resp", "200 GET /os-networks", nil, "label"},
	{"os-networks", "", "network-show-resp", "200 GET /os-networks/" + thing, nil, "label"},
	{"os-tenant-networks", "", "networks-list-res", "200 GET /os-tenant-networks", nil, "label"},
	{"os-floating-ip-pools", "", "floatingippools-list-resp", "200 GET /os-floating-ip-pools", nil, "floating_ip_pools name"},
	{"os-floating-ips", "floating-ips-create-req", "floating-ips-create-resp", "200 POST /os-floating-ips", nil, "*"},
	{"os-floating-ips", "", "floating-ips-get-resp", "200 GET /os-floating-ips/" + thing, nil, "*"},
	{"os-floating-ips", "", "floating-ips-list-empty-resp", "200 GET /os-floating-ips", nil, ""},
	{"os-floating-ips", "", "floating-ips-list-resp", "200 GET /os-floating-ips", nil, "*"},
	{"os-security-groups", "security-group-post-req", "security-groups-create-resp", "200 POST /os-security-groups", nil, "*"},
	{"os-security-groups", "", "security-groups-get-resp", "200 GET /os-security-groups/" + thing, nil, "*"},
	{"os-security-groups", "", "security-groups-list-get-resp", "200 GET /os-security-groups", nil, "*"},
	{"os-security-groups", "", "server-security-groups-list-resp", "200 GET /servers/{server}/os-security-groups", nil, "*"},
	{"os-security-groups", "security-group-rules-post-req", "security-group-rules-post-resp", "200 POST /os-security-group-rules", nil, ""},
	{"os-security-groups", "security-group-add-post-req", "", "202 POST " + sampleAction, nil, ""},
	{"os-security-groups", "security-group-remove-post-req", "", "202 POST " + sampleAction, nil, ""},
	{"os-volumes", "", "os-volumes-index-resp", "200 GET /os-volumes", nil, "*"},
	{"os-volumes", "", "os-volumes-detail-resp", "200 GET /os-volumes/detail", nil, "*"},
	{"os-volumes", "", "os-volumes-get-resp", "200 GET /os-volumes/" + thing, nil, "*"},
	{"os-volumes", "os-volumes-post-req", "os-volumes-post-resp", "200 POST /os-volumes", nil, "*"},
	{"os-snapshots", "", "snapshots-list-resp", "200 GET /os-snapshots", nil, "*"},
	{"os-snapshots", "", "snapshots-detail-resp", "200 GET /os-snapshots/detail", nil, "*"},
	{"os-snapshots", "", "snapshots-show-resp", "200 GET /os-snapshots/" + thing, nil, "*"},
	{"os-snapshots", "snapshot-create-req", "snapshot-create-resp", "200 POST /os-snapshots", nil, "*"},
}

// goneSamples are those of what Nova has removed: their answer is not the sample but 410.
var goneSamples = []sampleRow{
	{"consoles", "", "consoles-get-resp", "410 GET /servers/{server}/consoles/1", nil, ""},
	{"consoles", "", "consoles-list-get-resp", "410 GET /servers/{server}/consoles", nil, ""},
	{"os-agents", "agent-post-req", "agent-post-resp", "410 POST /os-agents", nil, ""},
	{"os-agents", "agent-update-put-req", "agent-update-put-resp", "410 PUT /os-agents/1", nil, ""},
	{"os-agents", "", "agents-get-resp", "410 GET /os-agents", nil, ""},
	{"os-cells", "", "cells-capacities-resp", "410 GET /os-cells/capacities", nil, ""},
	{"os-cells", "", "cells-get-resp", "410 GET /os-cells/cell3", nil, ""},
	{"os-cells", "", "cells-list-resp", "410 GET /os-cells", nil, ""},
	{"os-certificates", "", "certificate-create-resp", "410 POST /os-certificates", nil, ""},
	{"os-certificates", "", "certificate-get-root-resp", "410 GET /os-certificates/root", nil, ""},
	{"os-cloudpipe", "cloud-pipe-create-req", "cloud-pipe-create-resp", "410 POST /os-cloudpipe", nil, ""},
	{"os-cloudpipe", "", "cloud-pipe-get-resp", "410 GET /os-cloudpipe", nil, ""},
	{"os-cloudpipe", "cloud-pipe-update-req", "", "410 PUT /os-cloudpipe/configure-project", nil, ""},
	{"os-fixed-ips", "", "fixedips-get-resp", "410 GET /os-fixed-ips/192.168.1.1", nil, ""},
	{"os-fixed-ips", "fixedip-post-req", "", "410 POST /os-fixed-ips/192.168.1.1/action", nil, ""},
	{"os-floating-ip-dns", "floating-ip-dns-create-or-update-entry-req", "floating-ip-dns-create-or-update-entry-resp", "410 PUT /os-floating-ip-dns/d/entries/e", nil, ""},
	{"os-floating-ip-dns", "floating-ip-dns-create-or-update-req", "floating-ip-dns-create-or-update-resp", "410 PUT /os-floating-ip-dns/d", nil, ""},
	{"os-floating-ip-dns", "", "floating-ip-dns-entry-get-resp", "410 GET /os-floating-ip-dns/d/entries/e", nil, ""},
	{"os-floating-ip-dns", "", "floating-ip-dns-entry-list-resp", "410 GET /os-floating-ip-dns/d/entries/192.168.53.11", nil, ""},
	{"os-floating-ip-dns", "", "floating-ip-dns-list-resp", "410 GET /os-floating-ip-dns", nil, ""},
	{"os-floating-ips-bulk", "floating-ips-bulk-create-req", "floating-ips-bulk-create-resp", "410 POST /os-floating-ips-bulk", nil, ""},
	{"os-floating-ips-bulk", "floating-ips-bulk-delete-req", "floating-ips-bulk-delete-resp", "410 PUT /os-floating-ips-bulk/delete", nil, ""},
	{"os-floating-ips-bulk", "", "floating-ips-bulk-list-by-host-resp", "410 GET /os-floating-ips-bulk/host", nil, ""},
	{"os-floating-ips-bulk", "", "floating-ips-bulk-list-resp", "410 GET /os-floating-ips-bulk", nil, ""},
	{"os-fping", "", "fping-get-details-resp", "410 GET /os-fping/{server}", nil, ""},
	{"os-fping", "", "fping-get-resp", "410 GET /os-fping", nil, ""},
	{"os-networks", "network-add-req", "", "410 POST /os-networks/add", nil, ""},
	{"os-networks", "network-create-req", "network-create-resp", "410 POST /os-networks", nil, ""},
	{"os-networks-associate", "network-associate-host-req", "", "410 POST /os-networks/1/action", nil, ""},
	{"os-networks-associate", "network-disassociate-host-req", "", "410 POST /os-networks/1/action", nil, ""},
	{"os-networks-associate", "network-disassociate-project-req", "", "410 POST /os-networks/1/action", nil, ""},
	{"os-networks-associate", "network-disassociate-req", "", "410 POST /os-networks/1/action", nil, ""},
	{"os-security-group-default-rules", "security-group-default-rules-create-req", "security-group-default-rules-create-resp", "410 POST /os-security-group-default-rules", nil, ""},
	{"os-security-group-default-rules", "", "security-group-default-rules-list-resp", "410 GET /os-security-group-default-rules", nil, ""},
	{"os-security-group-default-rules", "", "security-group-default-rules-show-resp", "410 GET /os-security-group-default-rules/1", nil, ""},
	{"os-tenant-networks", "networks-post-req", "networks-post-res", "410 POST /os-tenant-networks", nil, ""},
	{"os-virtual-interfaces", "", "vifs-list-resp", "410 GET /servers/{server}/os-virtual-interfaces", nil, ""},
	{"os-virtual-interfaces", "", "vifs-list-resp-v2", "410 GET /servers/{server}/os-virtual-interfaces", nil, ""},
	{"os-admin-actions", "admin-actions-reset-network", "", "410 POST " + sampleAction, nil, ""},
}

// ready makes what a request to create refers to.
func (w *world) ready() {
	w.text = strings.ReplaceAll(w.text, "%(availability_zone)s", "us-west")
	if strings.Contains(w.text, `"us-west"`) {
		w.zone("us-west")
	}
	if strings.Contains(w.text, `"same_host"`) {
		before := w.text
		w.text = ""
		w.server()
		w.text = before
		for _, old := range []string{"48e6a9f6-30af-47e0-bc04-acaed113bb4e", "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"} {
			w.text = strings.ReplaceAll(w.text, old, w.vars["server"])
		}
	}
	if strings.Contains(w.text, `"group"`) {
		w.swap("f3d86fe6-4246-4be8-b87c-eb894626c741", w.newGroup("admin", "2.64", `"name": "g", "policy": "affinity"`))
	}
	if node := "openstack-node-01"; strings.Contains(w.text, node) {
		w.host(node, node)
	}
}

// newest asks with the newest request sample, less what Nova refuses though the sample has it: files from 2.57 on.
func newest(req string) func(*world) {
	return func(w *world) {
		last := sampleRow{folder: w.folder, req: req}.cases(sampleFiles(w.tb))
		for _, c := range last {
			if c.minor <= w.minor {
				w.text, _ = readSample(w.tb, c.body)
			}
		}
		if w.minor >= 57 {
			w.drop("server", "personality")
		}
		if req == "server-create-req" {
			if w.minor >= 37 && !strings.Contains(w.text, `"networks"`) {
				w.swap(`"name":"new`, `"networks":"auto","name":"new`)
			}
			w.ready()
		} else {
			w.rekeyed()
		}
	}
}

// planted boots an instance with the name of the sample's.
func (w *world) planted() { w.server() }

func afterActs(bodies ...string) func(*world) {
	return func(w *world) {
		w.server()
		for _, b := range bodies {
			w.act(b)
		}
	}
}

// rekeyed has the key that a rebuild asks for.
func (w *world) rekeyed() {
	w.server()
	if strings.Contains(w.text, `"new-key"`) {
		w.call(w.token, "2.2", "POST", "/os-keypairs", `{"keypair": {"name": "new-key"}}`)
	}
}

// kept is shelved and still on its host.
func (w *world) kept() {
	w.server()
	w.act(`{"os-stop": null}`)
	w.alter(w.vars["server"], func(i *structs.Instance) { i.VM = structs.VMShelved })
}

func (w *world) softDeleted() {
	w.server()
	w.alter(w.vars["server"], func(i *structs.Instance) { i.VM = structs.VMSoftDeleted })
}

func (w *world) shelved() {
	w.host("host01", "host01")
	if strings.Contains(w.text, "us-west") {
		w.zone("us-west")
	}
	w.server()
	w.act(`{"shelve": null}`)
}

// eventful boots and stops an instance.
func (w *world) eventful() {
	if strings.Contains(w.resp, "non-admin") {
		w.token, w.vars["project"] = "alice", aliceProject
	}
	w.server()
	w.act(`{"os-stop": null}`)
	all := w.cloud.want(200, w.token, "2.104", "GET", "/servers/"+w.vars["server"]+"/os-instance-actions", nil).json(w.tb)["instanceActions"].([]any)
	stop := all[0].(map[string]any)
	w.vars["action"], w.vars["since"] = stop["request_id"].(string), stop["updated_at"].(string)
}

func (w *world) metadata() {
	w.server()
	w.cloud.want(200, w.token, "2.1", "PUT", "/servers/"+w.vars["server"]+"/metadata", `{"metadata": {"foo": "Foo Value"}}`)
}

func (w *world) tagged() {
	w.server()
	w.cloud.want(200, w.token, "2.26", "PUT", "/servers/"+w.vars["server"]+"/tags", `{"tags": ["tag1", "tag2"]}`)
}

func (w *world) grouped() {
	text, _ := readSample(w.tb, strings.NewReplacer("get-resp", "post-req", "list-resp", "post-req").Replace(w.sampleCase.want))
	a := w.cloud.want(200, w.token, fmt.Sprint("2.", w.minor), "POST", "/os-server-groups", text)
	w.vars["group"] = a.json(w.tb)["server_group"].(map[string]any)["id"].(string)
}

func (w *world) sampledFlavor() {
	w.vars["flavor"] = w.want.(map[string]any)["flavor"].(map[string]any)["id"].(string)
}

// listedFlavors leaves the flavors that the sample has.
func (w *world) listedFlavors() {
	n := len(w.want.(map[string]any)["flavors"].([]any))
	for id := n + 1; id <= 7; id++ {
		w.cloud.want(202, "admin", "2.1", "DELETE", fmt.Sprint("/flavors/", id), nil)
	}
}

func (w *world) privateFlavor() {
	w.addFlavor(structs.Flavor{ID: "10", Name: "test_flavor", VCPUs: 2, MemoryMiB: 1024, RootGiB: 10})
	w.text = strings.ReplaceAll(w.text, "fake_tenant", adminProject)
}

func (w *world) accessedFlavor() {
	w.privateFlavor()
	w.cloud.want(200, "admin", "2.1", "POST", "/flavors/10/action", `{"addTenantAccess": {"tenant": "`+adminProject+`"}}`)
}

func (w *world) specs() {
	w.cloud.want(200, "admin", "2.1", "POST", "/flavors/1/os-extra_specs", `{"extra_specs": {"hw:cpu_policy": "shared", "hw:numa_nodes": "1"}}`)
}

func withKeyOf(user string) func(*world) {
	return func(w *world) {
		w.vars["key"] = "keypair-50ca852e-273f-4cdc-8949-45feba200837"
		w.cloud.want(201, "admin", "2.10", "POST", "/os-keypairs", `{"keypair": {"name": "`+w.vars["key"]+`", "user_id": "`+user+`"}}`)
	}
}

func (w *world) madeKey() {
	if w.vars["created"] = "200"; w.minor > 1 {
		w.vars["created"] = "201"
	}
	if w.minor >= 92 && w.req == "keypairs-post-req" { // without the key there is nothing to import
		w.vars["created"] = "400"
	}
}

func (w *world) class() {
	w.vars["class"] = w.want.(map[string]any)["quota_class_set"].(map[string]any)["id"].(string)
}

func (w *world) used() {
	w.server()
	w.vars["hour"] = "start=2012-10-08T20:10:44.587336&end=2099-10-08T21:10:44.587336"
}

func (w *world) london() {
	path, host := w.aggregate("name", "london"), "compute"
	var asked map[string]map[string]any
	if json.Unmarshal([]byte(w.text), &asked) == nil {
		for _, o := range asked {
			if h, ok := o["host"].(string); ok && h != host {
				host = h
				w.host(host, host)
			}
		}
	}
	if strings.Contains(w.resp, "list") || strings.Contains(w.resp, "remove") {
		w.cloud.want(200, "admin", "2.104", "POST", path+"/action", addHost(host))
	}
}

func (w *world) twoHosts() {
	w.host("host2", "host2")
}

func (w *world) serviced() {
	id := w.host("host1", "host1").ID
	if w.minor >= 53 && w.req == "service-force-down-put-req" {
		w.cloud.want(200, "admin", "2.53", "PUT", "/os-services/"+string(id), `{"status": "disabled", "disabled_reason": "test2"}`)
	}
	for _, verb := range []string{"enable", "disable", "disable-log-reason", "force-down"} {
		key := strings.TrimSuffix(verb, "-reason")
		if w.vars[key] = verb; w.minor >= 53 {
			w.vars[key] = string(id)
		}
	}
}

func (w *world) hypervisor() {
	w.vars["hypervisor"] = "1"
	w.vars["search"], w.vars["servers"] = "/os-hypervisors/fake-mini/search", "/os-hypervisors/fake-mini/servers"
	if w.minor >= 53 {
		for h := range w.core.Stale().Hosts() {
			w.vars["hypervisor"] = string(h.ID)
		}
		w.vars["search"], w.vars["servers"] = "/os-hypervisors?hypervisor_hostname_pattern=fake", "/os-hypervisors?hypervisor_hostname_pattern=fake&with_servers=true"
	}
}

func (w *world) twoServers() {
	w.hypervisor()
	for range 2 {
		w.boot("admin", map[string]any{"imageRef": sampleImage})
	}
}

func (w *world) upHost() {
	h := w.host("compute", "fake-mini")
	up := *h
	up.Attributes = map[string]string{"uptime": " 08:32:11 up 93 days"}
	w.setHost(up)
	w.hypervisor()
}

func (w *world) powered() {
	w.core.HostCalls.Power = func(structs.HostID, string) error { return nil }
	w.core.HostCalls.Maintenance = func(structs.HostID, bool) error { return nil }
}

// imaged gives the image the properties that it has in the samples.
func (w *world) imaged() {
	w.cloud.want(200, "admin", "2.1", "POST", "/images/"+sampleImage+"/metadata", `{"metadata": {"kernel_id": "nokernel", "ramdisk_id": "nokernel"}}`)
}

// gallerySample makes the images of the sample and no others.
func (w *world) gallerySample() {
	_, all := readSample(w.tb, "images/images-details-get-resp.json")
	for _, one := range all.(map[string]any)["images"].([]any) {
		i := one.(map[string]any)
		add := structs.Image{ID: structs.ImageID(i["id"].(string)), Name: i["name"].(string), Size: int64(i["OS-EXT-IMG-SIZE:size"].(float64)), Properties: map[string]string{}}
		for k, v := range i["metadata"].(map[string]any) {
			add.Properties[k] = fmt.Sprint(v)
		}
		if add.ID == sampleImage {
			w.imaged()
			continue
		}
		w.addImage(add)
	}
}
