"""The YAML files that describe data sets, methods, models, training and studies (installed as mixbench.configs)."""
