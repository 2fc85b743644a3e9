"""Frame → regions: detectors (`detectors/`, a plug-in each) and the artefact that holds what they
found.
"""
