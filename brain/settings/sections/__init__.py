"""The settings by what they are about; `brain.settings.model` puts them together."""
