package structs

// HostPowerRequest has a host's driver start, stop or reboot the host. KindNotSupported when the driver cannot.
type HostPowerRequest struct {
	HostID HostID `codec:"h"`
	Action string `codec:"a"` // startup, shutdown or reboot
}

// HostMaintenanceRequest has a host's driver begin or end the host's maintenance. KindNotSupported when the driver cannot.
type HostMaintenanceRequest struct {
	HostID HostID `codec:"h"`
	On     bool   `codec:"on"`
}

// CacheImageRequest has a host fetch an image into its cache, for builds to come. It is answered when the image is there.
type CacheImageRequest struct {
	HostID HostID `codec:"h"`
	Image  *Image `codec:"i"`
}

// CacheImageResponse says what became of it.
type CacheImageResponse struct {
	Unneeded bool `codec:"u"` // the host's driver needs no image files
}
