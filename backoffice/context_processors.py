def shell(request):  # replaced with the screens
    return {}
