"""Frame → regions: detectors (`detectors/`, one plug-in each) and the artefact that holds the
regions.
"""
