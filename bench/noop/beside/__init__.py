"""No-op jobs of other systems, each as its documentation recommends, with its results kept."""
