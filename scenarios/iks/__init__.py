"""Cases of the contract of the Kubernetes Service's credentials."""
